/*
 * The frames of the WebSocket API, and what a reply looks like while it comes.
 *
 * Pure. A frame says which turn it is of and bears a number; one that came before, as after a reconnection, changes
 * nothing. What comes is a foretaste: the reply itself is the one in `done`, whole.
 */
import type { Answer, Citation, RecordedTurn } from "./api";

/** What a person is told of an error (RFC 9457). */
export interface ProblemDocument {
  title?: string;
  detail?: string;
  status?: number;
}

export type Frame =
  | { type: "accepted"; turn_id: string; number: number; conversation_id: string; conversation_token?: string }
  | { type: "delta"; turn_id: string; number: number; at: number; text: string }
  | { type: "citation"; turn_id: string; number: number; citation: Citation }
  | ({ type: "done"; number: number } & Answer)
  | { type: "failed"; turn_id: string | null; number: number; problem: ProblemDocument }
  | ({ type: "turn" } & RecordedTurn)
  | { type: "pong" };

/** What a client may send. */
export type Request = { conversation_id?: string; conversation_token?: string } & (
  | { action: "message"; turn_id: string; message: string; uploads?: string[]; bot?: string; explain?: true }
  | { action: "resume"; turn_id: string; after: number }
  | { action: "cancel"; turn_id: string }
  | { action: "wait"; turn_id: string }
);

/** A reply under way. */
export interface Coming {
  turnId: string;
  number: number; // of the last frame; NOT_ACCEPTED before the first
  text: string;
  citations: Citation[];
}

export const NOT_ACCEPTED = -1;
export const REFUSED = 0; // the number of `failed` where the door itself said no; later ones come from the worker

const TYPES: readonly unknown[] = ["accepted", "delta", "citation", "done", "failed", "turn", "pong"];

/** The frame in a message of the WebSocket; null for what is none, as what API Gateway itself says of its limits. */
export function readFrame(data: unknown): Frame | null {
  try {
    const frame = JSON.parse(String(data)) as Frame | null;
    return TYPES.includes(frame?.type) ? frame : null;
  } catch {
    return null;
  }
}

/** A turn of which nothing has come yet. */
export function awaited(turnId: string): Coming {
  return { turnId, number: NOT_ACCEPTED, text: "", citations: [] };
}

/** What is there after one more frame; the very same value if the frame tells nothing new of this turn. */
export function followed(coming: Coming, frame: Frame): Coming {
  if (!("number" in frame) || frame.turn_id !== coming.turnId || frame.number <= coming.number) return coming;
  const { number } = frame;
  switch (frame.type) {
    case "accepted":
      return { ...coming, number };
    case "delta":
      return { ...coming, number, ...rewritten(coming, frame.at, frame.text) };
    case "citation":
      return { ...coming, number, citations: [...coming.citations, frame.citation] };
    default:
      return coming;
  }
}

/**
 * The text that reads `text` from the character `at` on. Characters are counted as Unicode counts them, as the server
 * does, and not as JavaScript. Where the reply begins anew, what it stood on goes too.
 */
function rewritten({ text: there, citations }: Coming, at: number, text: string): Pick<Coming, "text" | "citations"> {
  const kept = prefix(there, at);
  return { text: kept + text, citations: kept === there ? citations : [] };
}

function prefix(text: string, length: number): string {
  if (length === 0) return "";
  if (length >= text.length) return text; // there are never more characters than units
  return Array.from(text).slice(0, length).join("");
}
