/*
 * The HTTP API as a conversation uses it: what goes in, what comes out, what can go wrong.
 *
 * Knows addresses, retries and problem documents; knows nothing of what is on the screen.
 */

import type { Rating } from "./entries";
import type { ProblemDocument } from "./frames";
import type { Home, Pass } from "./home";

export type Source = "scripted" | "knowledge" | "cached" | "generated" | "fallback" | "handoff" | "person";

export interface Button {
  title: string; // shown
  payload: string; // sent
}

export interface Citation {
  title: string;
  document: string;
  section: string;
  text: string;
  place?: string; // where in the document the section begins
}

export interface Reply {
  text: string;
  buttons?: Button[];
  image?: string;
  citations?: Citation[];
  attachment?: unknown; // as the bot's author wrote it
}

export interface Entity {
  name: string;
  value: unknown;
  text: string;
  role?: string;
}

export interface Intent {
  name: string;
  confidence: number; // 0 to 1
}

export type Policy = "rule" | "story" | "nearest-story" | "form" | "fallback" | "followup" | "built-in";

/** Why the bot did what it did. */
export interface Explanation {
  understanding: {
    intent: string | null; // null: nothing that the bot was taught
    confidence: number;
    ranking: Intent[];
    entities: Entity[];
    in_scope: number; // how likely it is that the bot was taught this
    retrieval_intent?: string;
  };
  steps: { action: string; policy: Policy; because: string; rejected: boolean }[];
  slots: { name: string; before: unknown; after: unknown }[];
  form: { name: string; requested_slot: string | null } | null;
  knowledge: Citation[];
  timings_ms: Record<string, number>; // in the order of the steps; `total` is all of them
}

export interface Answer {
  conversation_id: string;
  conversation_token?: string; // only where the conversation begins
  turn_id: string;
  replies: Reply[];
  source: Source;
  may_wait?: boolean; // the generator was away; its answer can come later
  handed_off?: boolean; // a person has the conversation
  explanation?: Explanation; // where it was asked for
  timings_ms?: Record<string, number>; // not where an answer is told again, nor then why, or who has the conversation
}

/** A file that was sent into a conversation. */
export interface Upload {
  id: string;
  name: string;
  type: string;
  bytes: number;
}

/** The files that a bot takes. */
export interface Taking {
  types: string[];
  most_bytes: number; // of one file
}

export interface RecordedTurn {
  turn_id: string;
  number: number;
  message: string; // "" where a person who has taken over writes, or hands back, and where only files were sent
  uploads?: Upload[];
  channel?: string; // "person" for their turns
  replies: Reply[];
  source: Source;
  may_wait?: boolean;
  feedback?: { rating: Rating };
}

/** How far a turn has come that was not answered at the door. */
export interface Progress extends Partial<Answer> {
  status: "queued" | "running" | "done" | "failed";
  reason?: string; // why it failed
}

export interface History {
  turns: RecordedTurn[]; // oldest first
  next?: number | null; // where earlier turns end, if there are any
  handed_off?: boolean; // a person has the conversation now
}

export interface Bot {
  name: string;
  title: string;
  description: string;
  suggestions: string[];
  uploads?: Taking; // missing: it takes no files
  explains: boolean; // to whoever asks
  socket: string | null; // the address of the WebSocket API; null: there is none
}

/** A request that was refused or went unanswered; the message is a sentence for the person. */
export class Problem extends Error {
  constructor(
    sentence: string,
    readonly status: number, // 0 where no answer came at all
    readonly retryAfterMs = 0,
    readonly lost: "conversation" | "upload" | null = null, // what the request spoke of, and is not ours, or no more
  ) {
    super(sentence);
  }

  /** Whether the very same request may well succeed a little later. */
  get passes(): boolean {
    return [0, 429, 502, 503, 504].includes(this.status);
  }

  get lostConversation(): boolean {
    return this.lost === "conversation";
  }
}

const TIMEOUT_MS = 35_000; // API Gateway gives up after 30 s
export const FILE_TIMEOUT_MS = 180_000; // 4 MB on a slow telephone line
const LONGEST_NAME = 100; // of a file; the API refuses more
const PAUSES_MS = [600, 2_000]; // before the second and the third try
const LONGEST_PAUSE_MS = 10_000; // nobody waits longer for a reply in a chat
const MINUTE_MS = 60_000;
// What the API says of a conversation that is gone or that it does not open, and of a file that is gone: there are other
// reasons for a 403 or a 404, and whoever stands before the API has more.
const LOST_CONVERSATION = /^(there is no conversation |send the conversation's token |this conversation is somebody else's)/;
const LOST_UPLOAD = /^there is no upload /;
const LATEST_TURNS = 10;

/** The bot's answer to a turn. Tried again with the same turn id, so that the bot acts once. */
export async function say(
  home: Home,
  turnId: string,
  message: string,
  uploads: readonly Upload[],
  pass: Pass | null,
  explain: boolean,
): Promise<Answer> {
  const conversation = pass ? { conversation_id: pass.id } : home.bot && { bot: home.bot };
  return await patiently(() =>
    request<Answer>(home, "v1/chat", pass, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ message, turn_id: turnId, ...conversation, ...named(uploads), ...(explain && { explain }) }),
    }),
  );
}

/** How a message names its files. */
export function named(uploads: readonly Upload[]): { uploads?: string[] } {
  return uploads.length > 0 ? { uploads: uploads.map(({ id }) => id) } : {};
}

/** A conversation in which nothing was said, so that files can be sent into it. */
export async function begin(home: Home): Promise<Pass> {
  const begun = await patiently(() =>
    request<{ conversation_id: string; conversation_token: string }>(home, "v1/conversations", null, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(home.bot ? { bot: home.bot } : {}),
    }),
  );
  return { id: begun.conversation_id, token: begun.conversation_token };
}

/** Sends a file into a conversation, in which a message may then name it. */
export async function upload(
  home: Home,
  pass: Pass,
  file: File,
  type: string,
  signal = AbortSignal.timeout(FILE_TIMEOUT_MS),
): Promise<Upload> {
  const name = encodeURIComponent(Array.from(file.name).slice(-LONGEST_NAME).join("")); // its end tells what it is
  const { upload_id, ...about } = await patiently(() =>
    request<Omit<Upload, "id"> & { upload_id: string }>(home, `${addressOf(pass)}/uploads?name=${name}`, pass, {
      method: "POST",
      headers: { "Content-Type": type },
      body: file,
      signal,
    }),
  );
  return { id: upload_id, ...about };
}

/** A file that was sent into a conversation. */
export async function uploaded(home: Home, pass: Pass, { id }: Upload): Promise<Blob> {
  const address = `${addressOf(pass)}/uploads/${encodeURIComponent(id)}`;
  const signal = AbortSignal.timeout(FILE_TIMEOUT_MS);
  return await patiently(() => request(home, address, pass, { signal }, (response) => response.blob()));
}

/** The last turns of a conversation, or those before a turn's number. */
export async function history(home: Home, pass: Pass, before?: number): Promise<History> {
  const page = before === undefined ? "" : `?before=${before}`;
  return await patiently(() => request<History>(home, addressOf(pass) + page, pass));
}

/** The very last turns. Asked once: who looks again and again need not be patient. */
export async function latest(home: Home, pass: Pass): Promise<History> {
  return await request<History>(home, `${addressOf(pass)}?limit=${LATEST_TURNS}`, pass);
}

/** How far a turn has come. Asked once, as `latest`. */
export async function progress(home: Home, pass: Pass, turnId: string): Promise<Progress> {
  return await request<Progress>(home, `${addressOf(pass)}/turns/${encodeURIComponent(turnId)}`, pass);
}

/** Agrees to wait for what could not be generated. Agreeing twice is agreeing once. */
export async function wait(home: Home, pass: Pass, turnId: string): Promise<void> {
  await patiently(() =>
    request(home, `${addressOf(pass)}/turns/${encodeURIComponent(turnId)}/wait`, pass, { method: "POST" }),
  );
}

/** Says what the person thinks of a reply; the last word counts. */
export async function rate(home: Home, pass: Pass, turnId: string, rating: Rating): Promise<void> {
  await patiently(() =>
    request(home, `${addressOf(pass)}/turns/${encodeURIComponent(turnId)}/feedback`, pass, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ rating }),
    }),
  );
}

/** Where a citation's document can be read, at the place it was taken from: a page of the web is its own address. */
export function documentAddress(home: Home, bot: string, { document: name, place }: Citation): string {
  const path = `v1/knowledge/${encodeURIComponent(bot)}/${encodeURIComponent(name)}`;
  const address = /^https?:\/\//.test(name) ? new URL(name) : new URL(path, home.api);
  if (place?.startsWith("#") || address.origin === new URL(home.api).origin) address.hash = place?.replace(/^#/, "") || "top";
  return address.href;
}

/** Who answers here, asked once; asked again where that failed. */
export function bot(home: Home): Promise<Bot> {
  const asked = known.get(home) ?? askForBot(home);
  known.set(home, asked);
  asked.catch(() => known.delete(home));
  return asked;
}

const known = new WeakMap<Home, Promise<Bot>>();

async function askForBot(home: Home): Promise<Bot> {
  const wanted = home.bot ? `?bot=${encodeURIComponent(home.bot)}` : "";
  const health = await patiently(() => request<Health>(home, `v1/health${wanted}`, null));
  if (!health.bot) throw new Problem("This bot is for who is signed in.", 403);
  return { ...health.bot, explains: health.explain ?? false, socket: health.websocket ?? null };
}

interface Health {
  explain?: boolean;
  websocket?: string | null;
  bot?: Omit<Bot, "explains" | "socket">; // to those who may talk with it
}

/** A turn id. `crypto.randomUUID` is missing where the page came over plain HTTP from another machine. */
export function newTurnId(): string {
  if (crypto.randomUUID) return crypto.randomUUID();
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function addressOf(pass: Pass): string {
  return `v1/conversations/${encodeURIComponent(pass.id)}`;
}

async function patiently<T>(call: () => Promise<T>): Promise<T> {
  for (const pause of PAUSES_MS) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof Problem && error.passes && error.retryAfterMs <= LONGEST_PAUSE_MS)) throw error;
      await new Promise((resolve) => setTimeout(resolve, Math.max(pause, error.retryAfterMs)));
    }
  }
  return await call();
}

async function request<T>(
  home: Home,
  address: string,
  pass: Pass | null,
  init: RequestInit = {},
  read: (response: Response) => Promise<T> = (response) => response.json() as Promise<T>,
): Promise<T> {
  const headers = new Headers(init.headers);
  if (pass) headers.set("Authorization", `Bearer ${pass.token}`);
  try {
    const response = await fetch(new URL(address, home.api), {
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...init,
      headers,
    });
    if (!response.ok) throw await problem(response);
    return response.status === 204 ? (undefined as T) : await read(response);
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem("The bot cannot be reached. Is this device online?", 0);
  }
}

/**
 * The problem that a response reports (RFC 9457), in words that a person can use. What stands before the API tells of
 * problems too, but cannot say that its JSON is one, nor when it will be over.
 */
async function problem(response: Response): Promise<Problem> {
  const [isJson, isProblem] = /^application\/(problem\+)?json\b/.exec(response.headers.get("Content-Type") ?? "") ?? [];
  const told: ProblemDocument = (isJson && (await response.json().catch(() => null))) || {};
  const retryAfterMs = 1000 * Number(response.headers.get("Retry-After") ?? 0) || 0;
  if (!isProblem && told.detail && retryAfterMs > LONGEST_PAUSE_MS) told.detail += ` This takes ${minutes(retryAfterMs)}.`;
  return problemOf(told, response.status, retryAfterMs);
}

/** A problem document in words that a person can use. */
export function problemOf({ detail, title }: ProblemDocument, status: number, retryAfterMs = 0): Problem {
  const sentence = asSentence(detail ?? title ?? "The bot cannot answer at the moment.");
  return new Problem(sentence, status, retryAfterMs, [403, 404].includes(status) ? lostBy(detail ?? "") : null);
}

function lostBy(detail: string): Problem["lost"] {
  if (LOST_CONVERSATION.test(detail)) return "conversation";
  return LOST_UPLOAD.test(detail) ? "upload" : null;
}

function minutes(durationMs: number): string {
  const count = Math.ceil(durationMs / MINUTE_MS);
  return count === 1 ? "a minute" : `${count} minutes`;
}

function asSentence(text: string): string {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`;
}
