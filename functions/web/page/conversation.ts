/*
 * The conversation on the screen: what was said, whether a reply is awaited, who answers, and what the person can do
 * next.
 *
 * Holds the state of this page. The conversation's id and token stay in the tab's session storage.
 */
import { useCallback, useEffect, useRef, useState } from "react";

import { history, latest, newTurnId, Problem, say as send, type Answer, type Pass } from "./api";
import { ended, type Entry, isNews, merged, said, type Utterance, wordsOf } from "./entries";
import { CONVERSATION, keep, kept } from "./kept";

const LOOK_EVERY_MS = 3_000; // whether the person who has taken over wrote something
const LOOK_SELDOM_MS = 15_000;
const SELDOM_AFTER_MS = 120_000; // in which nothing happened

export interface Conversation {
  entries: readonly Entry[];
  isWaiting: boolean; // for a reply
  isRestoring: boolean; // what was said before the page was loaded
  isHandedOff: boolean; // a person answers, not the bot
  showEarlier: (() => Promise<void>) | null; // where there are turns that are not on the screen
  say: (payload: string, shown?: string) => Promise<void>;
  sayAgain: (utterance: Utterance) => Promise<void>;
  startOver: () => void;
}

/** The tab's conversation; `isExplaining`: the bot is asked for its reasons. */
export function useConversation(isExplaining: boolean): Conversation {
  const [entries, setEntries] = useState<readonly Entry[]>([]);
  const [earlierEnd, setEarlierEnd] = useState<number>();
  const [isWaiting, setWaiting] = useState(false);
  const [isRestoring, setRestoring] = useState(() => remembered() !== null);
  const [isHandedOff, setHandedOff] = useState(false);
  const current = useRef({}); // another object for each conversation: a reply that comes too late finds its own gone
  const onScreen = useRef(entries);
  onScreen.current = entries;

  const restore = useCallback(async (pass: Pass, before?: number) => {
    const begun = current.current;
    try {
      const { turns, next, handed_off } = await history(pass, before);
      if (begun !== current.current) return;
      setEntries((there) => merged(there, turns));
      setEarlierEnd(next ?? undefined);
      setHandedOff(handed_off ?? false);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (begun !== current.current) return;
      if (error.lostConversation) {
        remember(null);
        setEarlierEnd(undefined);
      } else {
        setEntries((there) => [trouble(error, null), ...there]);
      }
    }
    setRestoring(false);
  }, []);

  useEffect(() => {
    const pass = remembered();
    if (pass) void restore(pass);
    return () => {
      current.current = {};
    };
  }, [restore]);

  /** Puts what was said meanwhile on the screen. Whether there was anything. */
  const catchUp = useCallback(async (): Promise<boolean> => {
    const begun = current.current;
    const pass = remembered();
    if (!pass) return false;
    try {
      let page = await latest(pass);
      let turns = page.turns;
      const { handed_off } = page;
      const hasNews = turns.some((turn) => isNews(onScreen.current, turn));
      while (page.next && page.turns.every((turn) => isNews(onScreen.current, turn))) {
        page = await history(pass, page.next);
        turns = [...page.turns, ...turns];
      }
      if (begun !== current.current) return false;
      if (hasNews) setEntries((there) => merged(there, turns));
      setHandedOff(handed_off ?? false);
      return hasNews;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (begun === current.current && error.lostConversation) setHandedOff(false);
      return false;
    }
  }, []);

  useEffect(() => {
    if (!isHandedOff || isWaiting) return;
    let changedAt = Date.now();
    let next: number | undefined;
    let isOver = false;

    function lookLater() {
      clearTimeout(next);
      if (isOver || document.hidden) return;
      next = window.setTimeout(look, Date.now() - changedAt < SELDOM_AFTER_MS ? LOOK_EVERY_MS : LOOK_SELDOM_MS);
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
  }, [isHandedOff, isWaiting, catchUp]);

  const deliver = useCallback(
    async (utterance: Utterance) => {
      const begun = current.current;
      setWaiting(true);
      try {
        const answer = await sayInConversation(utterance, isExplaining);
        if (begun !== current.current) return;
        if (answer.conversation_token) {
          remember({ id: answer.conversation_id, token: answer.conversation_token });
          setEntries(ended);
          setEarlierEnd(undefined);
        }
        const turn = { ...answer, turn_id: utterance.turnId, message: utterance.payload };
        setEntries((there) => merged(there, [turn]));
        setHandedOff(answer.handed_off ?? false);
        if (isHandedOff && !answer.handed_off) await catchUp(); // the bot took over again before we looked
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        if (begun !== current.current) return;
        setEntries((there) => [...there, trouble(error, utterance)]);
      }
      setWaiting(false);
    },
    [isExplaining, isHandedOff, catchUp],
  );

  const say = useCallback(
    async (payload: string, shown = wordsOf(payload)) => {
      const utterance = { turnId: newTurnId(), payload, shown };
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

  const startOver = useCallback(() => {
    current.current = {};
    remember(null);
    setEntries([]);
    setEarlierEnd(undefined);
    setRestoring(false);
    setWaiting(false);
    setHandedOff(false);
  }, []);

  const pass = remembered();
  const showEarlier = pass && earlierEnd !== undefined ? () => restore(pass, earlierEnd) : null;
  return { entries, isWaiting, isRestoring, isHandedOff, showEarlier, say, sayAgain, startOver };
}

function trouble(problem: Problem, utterance: Utterance | null): Entry {
  const again = problem.passes ? utterance : null;
  return { kind: "trouble", id: `trouble-${newTurnId()}`, sentence: problem.message, again };
}

/** The answer in the remembered conversation, or in a new one where that is gone. */
async function sayInConversation({ turnId, payload }: Utterance, isExplaining: boolean): Promise<Answer> {
  const pass = remembered();
  try {
    return await send(turnId, payload, pass, isExplaining);
  } catch (error) {
    if (!(pass && error instanceof Problem && error.lostConversation)) throw error;
    return await send(turnId, payload, null, isExplaining);
  }
}

let pass = kept<Pass>(CONVERSATION);

function remembered(): Pass | null {
  return pass;
}

function remember(next: Pass | null): void {
  pass = next;
  keep(CONVERSATION, next);
}
