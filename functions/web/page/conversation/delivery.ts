/*
 * How an utterance gets to the bot and its answer back: over the line, and over HTTP where there is no line or it gives no
 * sign. The turn's id is the same on every way and in every try, so that the bot acts once.
 */
import { begin, bot, Problem, say } from "./api";
import type { Utterance } from "./entries";
import { fileOf, sendFile } from "./files";
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
  renews: (utterance: Utterance) => void; // its files are others now
  comes: (coming: Coming) => void; // some more of the reply
  follows: (underway: Underway | null) => void; // while it goes over the line
}

/** The answer in the conversation, or in a new one where that is gone; where files are gone, they are sent again. */
export async function deliver(delivery: Delivery, pass: Pass | null): Promise<Told> {
  try {
    return await carried(delivery, pass);
  } catch (error) {
    if (!(pass && error instanceof Problem && error.lost)) throw error;
    const still = error.lostConversation ? null : pass;
    return delivery.utterance.uploads?.length ? await carriedAnew(delivery, still) : await carried(delivery, still);
  }
}

/** Files are gone, perhaps with their conversation: they are sent again, into it or, where there is none, into a new one. */
async function carriedAnew(delivery: Delivery, still: Pass | null): Promise<Told> {
  const { home, utterance, begins, renews } = delivery;
  const files = utterance.uploads!.map(fileOf);
  if (!files.every((file) => file !== undefined)) {
    throw new Problem("The files are gone. Please send them again.", 410);
  }
  const pass = still ?? (await begin(home));
  if (!still) begins(pass);
  const uploads = await Promise.all(files.map((file) => sendFile(home, pass, file)));
  const renewed = { ...utterance, uploads };
  renews(renewed);
  return await carried({ ...delivery, utterance: renewed }, pass);
}

async function carried(delivery: Delivery, pass: Pass | null): Promise<Told> {
  const { home, utterance, explain, begins, comes, follows } = delivery;
  const { turnId, payload, uploads = [] } = utterance;
  let owned = pass;
  function begun(pass: Pass): void {
    owned = pass;
    begins(pass);
  }

  const line = await openLine(home);
  if (line) {
    const underway = sayOver(line, { home, turnId, message: payload, uploads, pass, explain, begins: begun, comes });
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
  const answer = await say(home, turnId, payload, uploads, owned, explain);
  if (answer.conversation_token) begun({ id: answer.conversation_id, token: answer.conversation_token });
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
