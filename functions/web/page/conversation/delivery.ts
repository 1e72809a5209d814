/*
 * How an utterance gets to the bot and its answer back: over the line, and over HTTP where there is no line or it gives no
 * sign. The turn's id is the same on every way and in every try, so that the bot acts once.
 */
import { bot, Problem, say } from "./api";
import type { Utterance } from "./entries";
import { awaited, type Coming } from "./frames";
import type { Home, Pass } from "./home";
import { type Line, lineTo } from "./line";
import { sayOver, type Told, Unaccepted, type Underway } from "./live";

const ADDRESS_WITHIN_MS = 3_000; // the page has asked for it already

export interface Delivery {
  home: Home;
  utterance: Utterance;
  explain: boolean;
  begins: (pass: Pass) => void; // a conversation has begun
  comes: (coming: Coming) => void; // some more of the reply
  follows: (underway: Underway | null) => void; // while it goes over the line
}

/** The answer in the conversation, or in a new one where that is gone. */
export async function deliver(delivery: Delivery, pass: Pass | null): Promise<Told> {
  try {
    return await carried(delivery, pass);
  } catch (error) {
    if (!(pass && error instanceof Problem && error.lostConversation)) throw error;
    return await carried(delivery, null);
  }
}

async function carried(delivery: Delivery, pass: Pass | null): Promise<Told> {
  const { home, utterance, explain, begins, comes, follows } = delivery;
  const { turnId, payload } = utterance;
  let owned = pass;
  function begin(begun: Pass): void {
    owned = begun;
    begins(begun);
  }

  const line = await openLine(home);
  if (line) {
    const underway = sayOver(line, { home, turnId, message: payload, pass, explain, begins: begin, comes });
    follows(underway);
    try {
      return await underway.answer;
    } catch (error) {
      if (!(error instanceof Unaccepted)) throw error;
      comes(awaited(turnId));
    } finally {
      follows(null);
    }
  }
  const answer = await say(home, turnId, payload, owned, explain);
  if (answer.conversation_token) begin({ id: answer.conversation_id, token: answer.conversation_token });
  return { ...answer, isRetold: false };
}

/** The line, open; null where there is none just now. */
async function openLine(home: Home): Promise<Line | null> {
  const line = await theLine(home);
  return (await line?.reach()) ? line : null;
}

async function theLine(home: Home): Promise<Line | null> {
  const tooLate = new Promise<null>((resolve) => setTimeout(resolve, ADDRESS_WITHIN_MS, null));
  try {
    const known = await Promise.race([bot(home), tooLate]);
    return known?.socket ? lineTo(known.socket) : null;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return null;
  }
}
