/*
 * The conversation on the screen: what was said, whether a reply is awaited, and what the person can do next.
 *
 * Holds the one piece of state of this page. The conversation's id and token stay in the tab's session storage: they
 * outlive a reload, and end with the tab.
 */
import { useCallback, useEffect, useRef, useState } from "react";

import { history, newTurnId, Problem, say as send, type Pass, type RecordedTurn, type Reply, type Source } from "./api";

/** Something a person says: `payload` is sent, `shown` is what they chose or typed. */
export interface Utterance {
  turnId: string;
  payload: string;
  shown: string;
}

export type Entry =
  | { kind: "person"; id: string; text: string }
  | { kind: "bot"; id: string; replies: Reply[]; source: Source }
  | { kind: "trouble"; id: string; sentence: string; again: Utterance | null };

export interface Conversation {
  entries: readonly Entry[];
  isWaiting: boolean; // for a reply
  isRestoring: boolean; // what was said before the page was loaded
  showEarlier: (() => Promise<void>) | null; // where there are turns that are not on the screen
  say: (payload: string, shown?: string) => Promise<void>;
  sayAgain: (utterance: Utterance) => Promise<void>;
  startOver: () => void;
}

export function useConversation(): Conversation {
  const [entries, setEntries] = useState<readonly Entry[]>([]);
  const [earlierEnd, setEarlierEnd] = useState<number>();
  const [isWaiting, setWaiting] = useState(false);
  const [isRestoring, setRestoring] = useState(() => remembered() !== null);
  const current = useRef({}); // another object for each conversation: a reply that comes too late finds its own gone

  const restore = useCallback(async (pass: Pass, before?: number) => {
    const begun = current.current;
    const restored = await recorded(pass, before);
    if (begun !== current.current) return;
    setEntries((later) => [...restored.entries, ...later]);
    setEarlierEnd(restored.earlierEnd);
    setRestoring(false);
  }, []);

  useEffect(() => {
    const pass = remembered();
    if (pass) void restore(pass);
    return () => {
      current.current = {};
    };
  }, [restore]);

  const deliver = useCallback(async (utterance: Utterance) => {
    const begun = current.current;
    setWaiting(true);
    const entry = await answer(utterance);
    if (begun !== current.current) return;
    setEntries((earlier) => [...earlier, entry]);
    setWaiting(false);
  }, []);

  const say = useCallback(
    async (payload: string, shown = payload) => {
      const utterance = { turnId: newTurnId(), payload, shown };
      setEntries((earlier) => [...earlier, { kind: "person", id: `${utterance.turnId}-said`, text: shown }]);
      await deliver(utterance);
    },
    [deliver],
  );

  const sayAgain = useCallback(
    async (utterance: Utterance) => {
      setEntries((earlier) => earlier.filter((entry) => !(entry.kind === "trouble" && entry.again === utterance)));
      await deliver(utterance);
    },
    [deliver],
  );

  const startOver = useCallback(() => {
    current.current = {};
    remember(null);
    setEntries([]);
    setEarlierEnd(undefined);
    setRestoring(false);
    setWaiting(false);
  }, []);

  const pass = remembered();
  const showEarlier = pass && earlierEnd !== undefined ? () => restore(pass, earlierEnd) : null;
  return { entries, isWaiting, isRestoring, showEarlier, say, sayAgain, startOver };
}

/** What was said before, and where what was said earlier still ends. A conversation that is gone is forgotten. */
async function recorded(pass: Pass, before?: number): Promise<{ entries: Entry[]; earlierEnd?: number }> {
  try {
    const { turns, next } = await history(pass, before);
    return { entries: asEntries(turns), earlierEnd: next ?? undefined };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (!error.lostConversation) {
      return { entries: [{ kind: "trouble", id: newTurnId(), sentence: error.message, again: null }], earlierEnd: before };
    }
    remember(null);
    return { entries: [] };
  }
}

/** What the bot has to say to an utterance, or the trouble that kept it from answering. */
async function answer(utterance: Utterance): Promise<Entry> {
  try {
    const reply = await sayInConversation(utterance);
    return { kind: "bot", id: reply.turn_id, replies: reply.replies, source: reply.source };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const id = `${utterance.turnId}-trouble-${newTurnId()}`;
    return { kind: "trouble", id, sentence: error.message, again: error.passes ? utterance : null };
  }
}

/** The answer in the remembered conversation, or in a new one where that is gone. */
async function sayInConversation({ turnId, payload }: Utterance) {
  const pass = remembered();
  try {
    const reply = await send(turnId, payload, pass);
    if (reply.conversation_token) remember({ id: reply.conversation_id, token: reply.conversation_token });
    return reply;
  } catch (error) {
    if (!(pass && error instanceof Problem && error.lostConversation)) throw error;
    remember(null);
    return await sayInConversation({ turnId, payload, shown: payload });
  }
}

/** The entries of recorded turns. A message that a button sent is shown by the button's title. */
function asEntries(turns: RecordedTurn[]): Entry[] {
  return turns.flatMap((turn, index): Entry[] => {
    const offered = turns[index - 1]?.replies.flatMap((reply) => reply.buttons ?? []) ?? [];
    const text = offered.find((button) => button.payload === turn.message)?.title ?? turn.message;
    return [
      { kind: "person", id: `${turn.turn_id}-said`, text },
      { kind: "bot", id: turn.turn_id, replies: turn.replies, source: turn.source },
    ];
  });
}

/** One origin may serve several stacks under different prefixes. */
const KEY = `parley ${new URL(document.baseURI).pathname}`;

let kept: Pass | null = read();

function remembered(): Pass | null {
  return kept;
}

function remember(pass: Pass | null): void {
  kept = pass;
  try {
    if (pass) sessionStorage.setItem(KEY, JSON.stringify(pass));
    else sessionStorage.removeItem(KEY);
  } catch {
    // Storage is switched off in this browser: the conversation then ends with a reload.
  }
}

function read(): Pass | null {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? "null") as Pass | null;
  } catch {
    return null;
  }
}
