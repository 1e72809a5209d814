/*
 * The conversation on the screen: what was said, what comes, who answers, and what the person can do next.
 *
 * Holds the state of the screen. The conversation's id and token are kept at its home, and so is what was said and has no
 * reply yet.
 */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";

import { begin, history, latest, newTurnId, Problem, type Upload } from "./api";
import { Beginning } from "./beginning";
import { deliver as deliverTo } from "./delivery";
import { ended, type Entry, isNews, lastTurnOf, merged, resaid, said, type Utterance, wordsOf } from "./entries";
import { sendFile } from "./files";
import { awaited, type Coming, type Frame } from "./frames";
import type { Home, Pass } from "./home";
import { useLateAnswers } from "./late";
import { lineTo } from "./line";
import type { Underway } from "./live";

const LOOK_EVERY_MS = 3_000; // whether the person who has taken over wrote something
const LOOK_SELDOM_MS = 15_000;
const SELDOM_AFTER_MS = 120_000; // in which nothing happened
const LAST_FRAME = 1_000_000_000; // more than a turn has: of a turn that is over, only the end is told again

export interface Conversation {
  entries: readonly Entry[]; // the last one may be coming
  isWaiting: boolean; // for a reply
  isRestoring: boolean; // what was said before the page was loaded
  isHandedOff: boolean; // a person answers, not the bot
  showEarlier: (() => Promise<void>) | null; // where there are turns that are not on the screen
  stop: (() => void) | null; // no more of the reply that comes, where it can be stopped
  waitingFor: ReadonlySet<string>; // turns whose answers will come late
  waitFor: (turnId: string) => void;
  prepare: () => void; // something is going to be said
  say: (payload: string, shown?: string, uploads?: readonly Upload[]) => Promise<void>;
  sayAgain: (utterance: Utterance) => Promise<void>;
  upload: (file: File, signal: AbortSignal) => Promise<Upload>; // which may then be said with something; fails with a Problem
  startOver: () => void;
}

/**
 * The conversation at its home. `isExplaining`: the bot is asked for its reasons. `address`: of the WebSocket API, null where
 * there is none or that is not known.
 */
export function useConversation(home: Home, isExplaining: boolean, address: string | null): Conversation {
  const [entries, setEntries] = useState<readonly Entry[]>([]);
  const [coming, setComing] = useState<Coming | null>(null);
  const [stopping, setStopping] = useState<"impossible" | "possible" | "asked">("impossible");
  const [earlierEnd, setEarlierEnd] = useState<number>();
  const [isRestoring, setRestoring] = useState(() => home.remembered !== null);
  const [isHandedOff, setHandedOff] = useState(false);
  const current = useRef({}); // another object for each conversation: a reply that comes too late finds its own gone
  const beginning = useRef(new Beginning());
  const underway = useRef<Underway | null>(null);
  const looks = useRef({ begun: 0, answered: 0 }); // at what was said meanwhile: their answers may overtake each other
  const isJoined = useRef(false); // another tab has begun it, and its turns may not all be on the screen
  const onScreen = useRef(entries);
  onScreen.current = entries;
  const line = useMemo(() => (address ? lineTo(address) : null), [address]);
  const isWaiting = coming !== null;

  /** Puts the last turns, or those before a number, on the screen. Which turns they are. */
  const restore = useCallback(async (pass: Pass, before?: number): Promise<string[] | null> => {
    const begun = current.current;
    let restored: string[] | null = null;
    try {
      const { turns, next, handed_off } = await history(home, pass, before);
      if (begun !== current.current) return null;
      restored = turns.map(({ turn_id }) => turn_id);
      setEntries((there) => merged(there, turns));
      setEarlierEnd(next ?? undefined);
      setHandedOff(handed_off ?? false);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (begun !== current.current) return null;
      if (error.lostConversation) {
        home.remember(null);
        home.keep("underway", null);
        setEarlierEnd(undefined);
      } else {
        setEntries((there) => [trouble(error, null), ...there]);
      }
    }
    setRestoring(false);
    return restored;
  }, [home]);

  /** Puts what was said meanwhile on the screen. Whether there was anything. */
  const catchUp = useCallback(async (): Promise<boolean> => {
    const begun = current.current;
    const pass = home.remembered;
    if (!pass) return false;
    const look = (looks.current.begun += 1);
    try {
      let page = await latest(home, pass);
      let turns = page.turns;
      const { handed_off } = page;
      const hasNews = turns.some((turn) => isNews(onScreen.current, turn));
      while (page.next && page.turns.every((turn) => isNews(onScreen.current, turn))) {
        page = await history(home, pass, page.next);
        turns = [...page.turns, ...turns];
      }
      if (begun !== current.current) return false;
      if (hasNews) setEntries((there) => merged(there, turns));
      if (look < looks.current.answered) return hasNews;
      looks.current.answered = look;
      setHandedOff(handed_off ?? false);
      return hasNews;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (begun === current.current && error.lostConversation) setHandedOff(false);
      return false;
    }
  }, [home]);

  useEffect(() => {
    if (!isHandedOff || isWaiting) return;
    let changedAt = Date.now();
    let next: number | undefined;
    let isOver = false;

    function lookLater() {
      clearTimeout(next);
      if (isOver || document.hidden) return;
      const isSeldom = line?.isOpen || Date.now() - changedAt >= SELDOM_AFTER_MS; // an open line tells it by itself
      next = window.setTimeout(look, isSeldom ? LOOK_SELDOM_MS : LOOK_EVERY_MS);
    }

    async function look() {
      if (await catchUp()) changedAt = Date.now();
      lookLater();
    }

    function turn() {
      if (document.hidden) clearTimeout(next);
      else void look();
    }

    lookLater();
    document.addEventListener("visibilitychange", turn);
    return () => {
      isOver = true;
      clearTimeout(next);
      document.removeEventListener("visibilitychange", turn);
    };
  }, [isHandedOff, isWaiting, line, catchUp]);

  const fails = useCallback((problem: Problem) => setEntries((there) => [...there, trouble(problem, null)]), []);
  const { waitingFor, waitFor, forget } = useLateAnswers({ home, entries, line, catchUp, fails });
  const isListening = isHandedOff || waitingFor.size > 0; // to what comes without being asked for

  useEffect(() => {
    if (!line) return;

    function hear(frame: Frame | null) {
      if (frame?.type === "turn") setEntries((there) => merged(there, [frame]));
      const isOurs = frame?.type === "done" && frame.turn_id === coming?.turnId;
      const isOthers = frame?.type === "done" && !isOurs; // of another tab, or told again
      if (isOthers || (frame?.type === "turn" && frame.channel === "person")) void catchUp();
    }

    /** Says whose connection this is, where no message does. */
    function attach() {
      const pass = home.remembered;
      const turnId = lastTurnOf(onScreen.current);
      if (!isListening || isWaiting || !line?.isNew || !pass || !turnId) return;
      const credentials = { conversation_id: pass.id, conversation_token: pass.token };
      line.send({ action: "resume", turn_id: turnId, after: LAST_FRAME, ...credentials });
    }

    attach();
    return line.listen({ opened: attach, heard: hear });
  }, [line, isListening, isRestoring, isWaiting, coming?.turnId, catchUp, home]);

  useEffect(() => {
    if (line && isListening) return line.hold();
  }, [line, isListening]);

  const deliver = useCallback(
    async (utterance: Utterance) => {
      const begun = current.current;
      function ifCurrent<T>(act: (value: T) => void): (value: T) => void {
        return (value) => begun === current.current && act(value);
      }
      let uttered = utterance;
      home.keep("underway", utterance);
      setComing(awaited(utterance.turnId));
      while (beginning.current.awaited) await beginning.current.awaited;
      if (begun !== current.current) return;
      const hasBegun = home.remembered ? () => {} : beginning.current.hold();
      const delivery = {
        home,
        utterance,
        explain: isExplaining,
        comes: ifCurrent(setComing),
        begins: ifCurrent((pass: Pass) => {
          home.remember(pass);
          hasBegun();
          setEntries(ended);
          setEarlierEnd(undefined);
        }),
        renews: ifCurrent((renewed: Utterance) => {
          uttered = renewed;
          home.keep("underway", renewed);
          setEntries((there) => resaid(there, renewed));
        }),
        follows: ifCurrent((followed: Underway | null) => {
          underway.current = followed;
          setStopping(followed ? "possible" : "impossible");
        }),
      };
      try {
        const { isRetold, ...answer } = await deliverTo(delivery, home.remembered);
        if (begun !== current.current) return;
        const turn = { ...answer, turn_id: utterance.turnId, message: utterance.payload, uploads: uttered.uploads };
        setEntries((there) => merged(there, [turn]));
        if (!isRetold) setHandedOff(answer.handed_off ?? false);
        const isBehind = isRetold || isJoined.current || (isHandedOff && !answer.handed_off);
        if (isBehind) await catchUp(); // who has it now; what was said meanwhile
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        if (begun !== current.current) return;
        setEntries((there) => [...there, trouble(error, uttered)]);
      } finally {
        hasBegun();
      }
      if (begun !== current.current) return;
      home.keep("underway", null);
      setComing(null);
    },
    [home, isExplaining, isHandedOff, catchUp],
  );
  const deliverNow = useRef(deliver);
  deliverNow.current = deliver;

  useEffect(() => {
    async function goOn(pass: Pass) {
      const restored = await restore(pass);
      const left = home.kept<Utterance>("underway"); // the page was loaded again before the reply came
      if (!restored || !left) return;
      if (restored.includes(left.turnId)) {
        home.keep("underway", null);
      } else {
        setEntries((there) => [...there, said(left)]);
        await deliverNow.current(left);
      }
    }

    const pass = home.remembered;
    if (pass) void goOn(pass);
    const stopListening = home.onBegun((begun) => {
      if (beginning.current.awaited) return; // here too: it is another conversation
      isJoined.current = true;
      home.remember(begun);
      setRestoring(true);
      void restore(begun);
    });
    return () => {
      stopListening();
      current.current = {};
      underway.current?.leave();
    };
  }, [home, restore]);

  const say = useCallback(
    async (payload: string, shown = wordsOf(payload), uploads: readonly Upload[] = []) => {
      const utterance = { turnId: newTurnId(), payload, shown, ...(uploads.length > 0 && { uploads }) };
      setEntries((there) => [...there, said(utterance)]);
      await deliver(utterance);
    },
    [deliver],
  );

  const sayAgain = useCallback(
    async (utterance: Utterance) => {
      setEntries((there) => there.filter((entry) => !(entry.kind === "trouble" && entry.again === utterance)));
      await deliver(utterance);
    },
    [deliver],
  );

  /** The conversation, begun where there is none. */
  const enter = useCallback(async (): Promise<Pass> => {
    const begun = current.current;
    while (beginning.current.awaited) await beginning.current.awaited; // many files wait for the first of them
    if (home.remembered) return home.remembered;
    const hasBegun = beginning.current.hold();
    try {
      const pass = await begin(home);
      if (begun === current.current) home.remember(pass);
      return pass;
    } finally {
      hasBegun();
    }
  }, [home]);

  const upload = useCallback(
    async (file: File, signal: AbortSignal): Promise<Upload> => {
      const pass = await enter();
      try {
        return await sendFile(home, pass, file, signal);
      } catch (error) {
        if (!(error instanceof Problem && error.lostConversation)) throw error;
        if (home.remembered?.id === pass.id) {
          home.remember(null);
          setEntries(ended);
          setEarlierEnd(undefined);
        }
        return await sendFile(home, await enter(), file, signal);
      }
    },
    [home, enter],
  );

  const stop = useCallback(() => {
    underway.current?.stop();
    setStopping("asked");
  }, []);

  const prepare = useCallback(() => void line?.reach(), [line]);

  const startOver = useCallback(() => {
    current.current = {};
    underway.current?.leave();
    underway.current = null;
    beginning.current = new Beginning();
    line?.hangUp();
    home.remember(null);
    home.keep("underway", null);
    forget();
    setEntries([]);
    setComing(null);
    setStopping("impossible");
    setEarlierEnd(undefined);
    setRestoring(false);
    setHandedOff(false);
    isJoined.current = false;
  }, [home, line, forget]);

  const shown = useMemo(
    () => (coming ? withComing(entries, coming, stopping === "asked") : entries),
    [entries, coming, stopping],
  );
  const pass = home.remembered;
  return {
    entries: shown,
    isWaiting,
    isRestoring,
    isHandedOff,
    showEarlier: pass && earlierEnd !== undefined ? async () => void (await restore(pass, earlierEnd)) : null,
    stop: stopping === "possible" && !isHandedOff ? stop : null,
    waitingFor,
    waitFor,
    prepare,
    say,
    sayAgain,
    upload,
    startOver,
  };
}

/** The entries and what comes, unless it is there: the history may be faster than the line. */
function withComing(entries: readonly Entry[], { turnId, text, citations }: Coming, isStopping: boolean) {
  const entry: Entry = { kind: "coming", id: turnId, text, citations, isStopping };
  return entries.some(({ id }) => id === turnId) ? entries : [...entries, entry];
}

function trouble(problem: Problem, utterance: Utterance | null): Entry {
  const again = problem.passes ? utterance : null;
  return { kind: "trouble", id: `trouble-${newTurnId()}`, sentence: problem.message, again };
}
