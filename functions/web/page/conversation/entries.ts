/*
 * What stands in the thread: entries made of turns, in the turns' order, each of them once.
 *
 * Pure. A turn may be told several times (by its reply, by the history, by the next look at the history); what is there
 * already is completed and not repeated.
 */
import type { Button, Citation, Explanation, Reply, Source, Upload } from "./api";

/** What the person thinks of a reply. */
export type Rating = "up" | "down";

/** Something a person says: `payload` is sent, `shown` is what they chose or typed, `uploads` go with it. */
export interface Utterance {
  turnId: string;
  payload: string;
  shown: string;
  uploads?: readonly Upload[];
}

/**
 * `turn` is the turn's number, where the history told it. "desk" is a person who has taken over from the bot, "coming" a
 * reply under way, which becomes a bot's entry of the same id.
 */
export type Entry = { id: string; turn?: number } & (
  | { kind: "person"; payload: string; text: string; uploads: readonly Upload[]; isDelivered: boolean }
  | { kind: "bot"; replies: Reply[]; source: Source; explanation?: Explanation; mayWait?: boolean; rating?: Rating }
  | { kind: "desk"; replies: Reply[] }
  | { kind: "coming"; text: string; citations: Citation[]; isStopping: boolean }
  | { kind: "trouble"; sentence: string; again: Utterance | null }
);

/** A turn as a reply or the history tells it. */
export interface Told {
  turn_id: string;
  number?: number;
  message: string;
  uploads?: readonly Upload[];
  channel?: string;
  replies: Reply[];
  source: Source;
  explanation?: Explanation;
  may_wait?: boolean;
  feedback?: { rating: Rating };
}

/** The entry of what a person has just said. */
export function said({ turnId, payload, shown, uploads = [] }: Utterance): Entry {
  return { kind: "person", id: saidId(turnId), payload, text: shown, uploads, isDelivered: false };
}

/** The entries where what was said is said anew, as with files that were sent again. */
export function resaid(entries: readonly Entry[], utterance: Utterance): readonly Entry[] {
  return entries.map((entry) => (entry.id === saidId(utterance.turnId) ? said(utterance) : entry));
}

/** The entries with what the turns tell. */
export function merged(entries: readonly Entry[], turns: readonly Told[]): readonly Entry[] {
  const told = new Set(turns.map((turn) => turn.turn_id));
  const all = new Map<string, Entry>();
  for (const entry of entries) {
    if (entry.kind === "trouble" && entry.again && told.has(entry.again.turnId)) continue; // it arrived after all
    all.set(entry.id, entry);
  }
  for (const entry of turns.flatMap(entriesOf)) {
    const there = all.get(entry.id);
    all.set(entry.id, there ? completed(there, entry) : entry);
  }
  return titled(inOrder([...all.values()]));
}

/** Whether a turn tells anything that does not stand in the thread yet. */
export function isNews(entries: readonly Entry[], turn: Told): boolean {
  const there = new Map(entries.map((entry) => [entry.id, isDelivered(entry)]));
  return entriesOf(turn).some((entry) => there.get(entry.id) !== isDelivered(entry));
}

/** The entries as those of a conversation that is gone: what is said next follows them, whatever its number. */
export function ended(entries: readonly Entry[]): readonly Entry[] {
  return entries.map((entry) => ({ ...entry, turn: undefined }));
}

/** What a person says with a payload, in words. `/order_status{"order": 7}` is Rasa's way to name an intent. */
export function wordsOf(payload: string): string {
  const intent = /^\/([\w.-]+(?:\/[\w.-]+)?)(?:@[\d.]+)?(?:\{.*\})?$/s.exec(payload.trim())?.[1];
  return intent?.replaceAll("_", " ") ?? payload;
}

export function buttonsOf(replies: readonly Reply[]): Button[] {
  return replies.flatMap((reply) => reply.buttons ?? []);
}

/** The turn in which the answer comes to somebody who agreed to wait for it. */
export function lateIdOf(turnId: string): string {
  return `${turnId}.late`;
}

/** The last turn that the server knows of. */
export function lastTurnOf(entries: readonly Entry[]): string | null {
  return entries.findLast(({ kind, turn }) => kind === "bot" || (kind === "desk" && turn !== undefined))?.id ?? null;
}

/** An entry of the bot or of a person who has taken over, as it is read out: without its marks, with its buttons. */
export function spoken(entry: Entry): string {
  if (entry.kind !== "bot" && entry.kind !== "desk") return "";
  const texts = entry.replies.map(({ text }) => text.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").replace(/[*_`#|]+/g, " "));
  const buttons = buttonsOf(entry.replies).map(({ title }) => title);
  const offered = buttons.length > 0 ? [`Suggested answers: ${buttons.join(", ")}.`] : [];
  return [...texts, ...offered].filter((text) => text.trim()).join("\n");
}

function isDelivered(entry: Entry): boolean {
  return entry.kind === "person" && entry.isDelivered;
}

function saidId(turnId: string): string {
  return `${turnId}-said`;
}

function entriesOf(turn: Told): Entry[] {
  const { turn_id, number, message, uploads = [], channel, source, explanation, may_wait, feedback } = turn;
  const replies = turn.replies.filter(saysSomething);
  const entries: Entry[] = [];
  if (message || uploads.length > 0) {
    const isDelivered = replies.length === 0;
    entries.push({
      kind: "person",
      id: saidId(turn_id),
      turn: number,
      payload: message,
      text: wordsOf(message),
      uploads,
      isDelivered,
    });
  }
  if (replies.length > 0 && channel === "person" && source === "person") {
    entries.push({ kind: "desk", id: turn_id, turn: number, replies });
  } else if (replies.length > 0) {
    const more = { explanation, mayWait: may_wait, rating: feedback?.rating };
    entries.push({ kind: "bot", id: turn_id, turn: number, replies, source, ...more });
  }
  return entries;
}

/**
 * What is told later knows the number; only what was there knows which button was pressed, which files of this device were
 * sent, and why the bot did it.
 */
function completed(there: Entry, told: Entry): Entry {
  const turn = told.turn ?? there.turn;
  if (there.kind === "person" && told.kind === "person") {
    const uploads = there.uploads.length > 0 ? there.uploads : told.uploads;
    return { ...told, turn, text: there.text, uploads };
  }
  if (there.kind === "bot" && told.kind === "bot") {
    const { explanation = there.explanation, rating = there.rating } = told;
    return { ...told, turn, explanation, rating };
  }
  return { ...told, turn };
}

/** An entry without a number stays behind the entry that it follows. */
function inOrder(entries: readonly Entry[]): readonly Entry[] {
  let place = 0;
  return entries
    .map((entry) => ({ entry, place: (place = entry.turn ?? place) }))
    .sort((one, other) => one.place - other.place)
    .map(({ entry }) => entry);
}

/**
 * A message that a button sent is shown by the button's title. Words may be anybody's, so they count as a button's only
 * behind the reply that offered it.
 */
function titled(entries: readonly Entry[]): readonly Entry[] {
  const everOffered = new Map<string, string>();
  let offered = everOffered;
  return entries.map((entry) => {
    if (entry.kind === "bot") {
      offered = new Map(buttonsOf(entry.replies).map(({ payload, title }) => [payload, title]));
      for (const [payload, title] of offered) everOffered.set(payload, title);
    }
    if (entry.kind !== "person") return entry;
    const title = (wordsOf(entry.payload) === entry.payload ? offered : everOffered).get(entry.payload);
    return title ? { ...entry, text: title } : entry;
  });
}

/** A payload for other channels is nothing to see. */
function saysSomething({ text, image, attachment, citations, buttons }: Reply): boolean {
  return Boolean(text || image || attachment || citations?.length || buttons?.length);
}
