/*
 * One turn over the line: said, followed while its reply comes, and picked up again where the line broke.
 *
 * Once a turn is accepted it is never said again: after a reconnection its frames are asked for from the last number
 * on, and where the line stays silent the HTTP API is asked how far it has come. A turn that nobody accepted is left to
 * HTTP, with the same id.
 */
import { type Answer, named, Problem, problemOf, progress, type Upload } from "./api";
import { awaited, type Coming, followed, type Frame, NOT_ACCEPTED, REFUSED, type Request } from "./frames";
import type { Home, Pass } from "./home";
import type { Line } from "./line";

const ACCEPTED_WITHIN_MS = 8_000; // the function is warm by now: it has let the connection in
const SILENT_AFTER_MS = 10_000; // frames come every 40 ms; before the first one stand the queue and a cold worker
const LOOK_EVERY_MS = 5_000; // how far the turn has come, while the line is silent
const GIVE_UP_AFTER_MS = 600_000; // by then the queue has given up too

/** Nobody accepted the turn; HTTP may carry it. */
export class Unaccepted extends Error {}

/** What is said, and who is to be told of what comes. */
export interface Said {
  home: Home;
  turnId: string;
  message: string;
  uploads: readonly Upload[];
  pass: Pass | null; // null: a conversation begins
  explain: boolean;
  begins: (pass: Pass) => void; // a conversation has begun
  comes: (coming: Coming) => void; // some more of the reply
}

/** An answer; `isRetold`: it does not say why, nor who has the conversation now. */
export type Told = Answer & { isRetold: boolean };

export interface Underway {
  answer: Promise<Told>; // fails with a Problem, or Unaccepted
  stop: () => void; // no more of this reply; what has come of it is the answer
  leave: () => void; // the turn goes on, and nobody follows it here
}

/** Says something over a line that is open. */
export function sayOver(line: Line, said: Said): Underway {
  const { home, turnId } = said;
  let { pass } = said;
  let coming = awaited(turnId);
  let isStopped = false;
  let isOver = false;
  let heardAt = Date.now();
  const begunAt = heardAt;
  let answered!: (answer: Told) => void;
  let failed!: (error: Error) => void;
  const answer = new Promise<Told>((resolve, reject) => {
    answered = resolve;
    failed = reject;
  });

  if (!pass) line.hangUp(); // on a connection that has a conversation, none begins
  const release = line.hold();
  const stopListening = line.listen({ opened: speak, heard: hear });
  let timer = window.setTimeout(watch, ACCEPTED_WITHIN_MS);
  speak();

  function request(frame: Request): void {
    line.send({ ...frame, ...(pass && { conversation_id: pass.id, conversation_token: pass.token }) });
  }

  function speak(): void {
    if (coming.number === NOT_ACCEPTED) {
      const bot = !pass && home.bot ? { bot: home.bot } : {};
      const more = { ...named(said.uploads), ...bot, ...(said.explain && { explain: true as const }) };
      request({ action: "message", turn_id: turnId, message: said.message, ...more });
    } else {
      request({ action: "resume", turn_id: turnId, after: coming.number });
      if (isStopped) stop();
    }
  }

  function hear(frame: Frame | null): void {
    if (frame === null && coming.number === NOT_ACCEPTED) refuse(); // too many requests, says API Gateway itself
    if (!frame || !("number" in frame) || !isOurs(frame.turn_id)) return;
    heardAt = Date.now();
    switch (frame.type) {
      case "done": {
        const { type: _type, number: _number, ...told } = frame; // the frame's number is not the turn's
        end(() => answered({ ...told, isRetold: !told.timings_ms }));
        return;
      }
      case "failed":
        fail(frame.number, problemOf(frame.problem, frame.problem.status ?? 500));
        return;
      case "accepted":
        if (frame.conversation_token) {
          pass = { id: frame.conversation_id, token: frame.conversation_token };
          said.begins(pass);
        }
        if (isStopped) stop();
        break;
    }
    const next = followed(coming, frame);
    if (next === coming) return;
    coming = next;
    said.comes(coming);
  }

  /** What is no frame at all to the door is refused without a turn. */
  function isOurs(of: string | null): boolean {
    return of === turnId || (of === null && coming.number === NOT_ACCEPTED);
  }

  function fail(number: number, problem: Problem): void {
    if (number !== REFUSED || !problem.passes) end(() => failed(problem));
    else if (!isStopped) refuse(); // the queue was away, and HTTP needs none
  }

  function refuse(): void {
    end(() => failed(new Unaccepted()));
  }

  /** What to do where nothing is heard. */
  async function watch(): Promise<void> {
    if (coming.number === NOT_ACCEPTED) {
      if (line.isOpen) line.distrust();
      refuse();
      return;
    }
    const now = Date.now();
    if (now - begunAt > GIVE_UP_AFTER_MS) {
      end(() => failed(new Problem("The bot has not answered so far. You may try again.", 504)));
    } else if (now - heardAt >= SILENT_AFTER_MS) {
      line.check();
      await look();
    }
    if (!isOver) timer = window.setTimeout(watch, LOOK_EVERY_MS);
  }

  async function look(): Promise<void> {
    if (!pass) return;
    try {
      const { status, reason, ...told } = await progress(home, pass, turnId);
      if (status === "done") end(() => answered({ ...(told as Answer), isRetold: true }));
      if (status === "failed") end(() => failed(problemOf({ detail: reason }, 503)));
    } catch (error) {
      if (error instanceof Problem && (error.lostConversation || error.status === 404)) end(() => failed(error));
    }
  }

  function leave(): void {
    isOver = true;
    clearTimeout(timer);
    stopListening();
    release();
  }

  function end(settle: () => void): void {
    if (isOver) return;
    leave();
    settle();
  }

  function stop(): void {
    isStopped = true;
    if (pass) request({ action: "cancel", turn_id: turnId }); // else as soon as there is a conversation
  }

  return { answer, stop, leave };
}
