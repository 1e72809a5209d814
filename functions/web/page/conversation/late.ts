/*
 * Answers that come late: the generator was away, the person agreed to wait, and the answer comes as a turn of its own.
 *
 * It is told over the line. Since a line may break, how far the turn has come is asked for too, now and then.
 */
import { useCallback, useEffect, useRef, useState } from "react";

import { Problem, problemOf, progress, wait } from "./api";
import { type Entry, lateIdOf } from "./entries";
import { type Frame, REFUSED } from "./frames";
import type { Home, Pass } from "./home";
import { type Line } from "./line";

const LOOK_EVERY_MS = 15_000; // the first try is made after 20 s, the others a minute apart
const FIRST_LOOK_MS = 4_000; // whether the agreement arrived

export interface LateAnswers {
  waitingFor: ReadonlySet<string>; // turns
  waitFor: (turnId: string) => void;
  forget: () => void;
}

/** What of the conversation this needs; `catchUp` puts the history's news on the screen. */
interface Needed {
  home: Home;
  entries: readonly Entry[];
  line: Line | null;
  catchUp: () => Promise<boolean>;
  fails: (problem: Problem) => void;
}

export function useLateAnswers({ home, entries, line, catchUp, fails }: Needed): LateAnswers {
  const [waiting, setWaiting] = useState<readonly string[]>(() => home.kept<string[]>("waiting") ?? []);
  const there = new Set(entries.map(({ id }) => id));
  const open = waiting.filter((turnId) => !there.has(lateIdOf(turnId)));
  const key = open.join(" ");
  const current = useRef(open);
  current.current = open;

  useEffect(() => home.keep("waiting", key ? key.split(" ") : null), [home, key]);

  /** Nothing will come, and why. */
  const end = useCallback(
    (turnId: string, problem: Problem | null) => {
      if (!current.current.includes(turnId)) return;
      setWaiting((all) => all.filter((one) => one !== turnId));
      if (problem) fails(problem);
    },
    [fails],
  );

  const look = useCallback(
    async (turnId: string) => {
      const pass = home.remembered;
      if (!pass) return;
      try {
        const { status, reason } = await progress(home, pass, lateIdOf(turnId));
        if (status === "done") await catchUp();
        if (status === "failed") end(turnId, problemOf({ detail: givenUp(reason) }, 0));
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        if (error.status === 404) await agree(home, pass, turnId, end); // it did not arrive
      }
    },
    [home, catchUp, end],
  );

  const isWaiting = key !== "";
  useEffect(() => {
    if (!isWaiting) return;
    function lookAtAll() {
      if (!document.hidden) for (const turnId of current.current) void look(turnId);
    }
    const first = setTimeout(lookAtAll, FIRST_LOOK_MS);
    const regular = setInterval(lookAtAll, LOOK_EVERY_MS);
    document.addEventListener("visibilitychange", lookAtAll);
    return () => {
      clearTimeout(first);
      clearInterval(regular);
      document.removeEventListener("visibilitychange", lookAtAll);
    };
  }, [isWaiting, look]);

  useEffect(() => {
    if (!line || !isWaiting) return;
    const release = line.hold();
    const stopListening = line.listen({ heard: (frame) => frame && hear(frame, current.current, end) });
    return () => {
      stopListening();
      release();
    };
  }, [line, isWaiting, end]);

  const waitFor = useCallback(
    (turnId: string) => {
      const pass = home.remembered;
      if (!pass) return;
      setWaiting((all) => [...all.filter((one) => one !== turnId), turnId]);
      const credentials = { conversation_id: pass.id, conversation_token: pass.token };
      if (!line?.send({ action: "wait", turn_id: turnId, ...credentials })) void agree(home, pass, turnId, end);
    },
    [home, line, end],
  );

  const forget = useCallback(() => setWaiting([]), []);
  return { waitingFor: new Set(open), waitFor, forget };
}

async function agree(
  home: Home,
  pass: Pass,
  turnId: string,
  end: (turnId: string, problem: Problem) => void,
): Promise<void> {
  try {
    await wait(home, pass, turnId);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    end(turnId, error);
  }
}

/** The door refuses to wait for a turn by its own id; the worker gives up on the late turn. */
function hear(frame: Frame, waiting: readonly string[], end: (turnId: string, problem: Problem) => void): void {
  if (frame.type !== "failed") return;
  for (const turnId of waiting) {
    if (frame.turn_id === turnId && frame.number === REFUSED) end(turnId, problemOf(frame.problem, 0));
    if (frame.turn_id === lateIdOf(turnId)) end(turnId, problemOf({ detail: givenUp(frame.problem.detail) }, 0));
  }
}

function givenUp(reason: string | undefined): string {
  return `No answer could be had after all${reason ? `: ${reason}` : ""}`;
}
