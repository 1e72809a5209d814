/*
 * Files of this device: which of them a bot takes, in words for the person, and what became of them.
 *
 * What is told here spares a way to the server, which looks at the bytes and has the last word.
 */
import { type Taking, upload, type Upload } from "./api";
import type { Home, Pass } from "./home";

export const MOST_FILES = 5; // of one message; the API refuses more
const KILOBYTE = 1024;

const KINDS: Record<string, { name: string; endings: readonly string[] }> = {
  "image/png": { name: "PNG", endings: [".png"] },
  "image/jpeg": { name: "JPEG", endings: [".jpg", ".jpeg"] },
  "image/gif": { name: "GIF", endings: [".gif"] },
  "image/webp": { name: "WebP", endings: [".webp"] },
  "application/pdf": { name: "PDF", endings: [".pdf"] },
  "text/plain": { name: "text", endings: [".txt"] },
  "text/csv": { name: "CSV", endings: [".csv"] },
  "text/markdown": { name: "Markdown", endings: [".md", ".markdown"] },
};

const kept = new WeakMap<Upload, File>();

/** Sends a file into a conversation, and remembers which one it was. */
export async function sendFile(home: Home, pass: Pass, file: File, signal?: AbortSignal): Promise<Upload> {
  const sent = await upload(home, pass, file, typeOf(file), signal);
  kept.set(sent, file);
  return sent;
}

/** The file as it lies on this device; undefined after a reload. */
export function fileOf(sent: Upload): File | undefined {
  return kept.get(sent);
}

/** Why a file cannot be sent, in a sentence; null: it can, as far as one can tell here. */
export function refusalOf(file: File, { types, most_bytes }: Taking): string | null {
  const names = types.map((type) => KINDS[type]?.name ?? type);
  if (!types.includes(typeOf(file))) {
    return `${file.name} cannot be sent: this bot takes ${new Intl.ListFormat("en").format(names)} files.`;
  }
  if (file.size > most_bytes) return `${file.name} is too large: this bot takes files of ${sizeOf(most_bytes)} at most.`;
  return file.size === 0 ? `${file.name} is empty.` : null;
}

/** What a file chooser offers: types, and endings, since few systems know a type for Markdown. */
export function accepted({ types }: Taking): string {
  return types.flatMap((type) => [type, ...(KINDS[type]?.endings ?? [])]).join(",");
}

/** A size in words. */
export function sizeOf(bytes: number): string {
  const kilobytes = Math.ceil(bytes / KILOBYTE);
  if (kilobytes < KILOBYTE) return `${kilobytes} kB`;
  return `${Number((bytes / KILOBYTE / KILOBYTE).toFixed(1))} MB`;
}

/** By the file's ending where the system does not know it, or calls CSV a spreadsheet. */
function typeOf({ name, type }: File): string {
  if (type in KINDS) return type;
  const ending = /\.[^.]+$/.exec(name.toLowerCase())?.[0] ?? "";
  return Object.keys(KINDS).find((kind) => KINDS[kind]!.endings.includes(ending)) ?? type;
}
