/* How files are picked: with a button, by dropping them, by pasting them. */
import { type ClipboardEvent, type DragEvent, type RefObject, useRef, useState } from "react";

import { accepted } from "./files";
import type { Picking } from "./picked";

interface Attached {
  button: RefObject<HTMLButtonElement | null>;
  picking: Picking;
  picked: () => void;
}

export function Attach({ button, picking, picked }: Attached) {
  const chooser = useRef<HTMLInputElement>(null);
  return (
    <>
      <button
        type="button"
        ref={button}
        className="attach"
        aria-label="Attach files"
        title="Attach files"
        onClick={() => chooser.current?.click()}
      >
        <svg viewBox="0 0 24 24" aria-hidden="true">
          <path d="M19.500 11.500l-7.300 7.300a4.600 4.600 0 0 1-6.500-6.500l7.600-7.600a3.100 3.100 0 0 1 4.400 4.400l-7.500 7.500a1.500 1.500 0 0 1-2.200-2.200l6.800-6.800" />
        </svg>
      </button>
      <input
        type="file"
        ref={chooser}
        hidden
        multiple
        tabIndex={-1}
        aria-label="Files"
        accept={accepted(picking.taking)}
        onChange={({ target }) => {
          picking.pick(target.files ?? []);
          target.value = ""; // the same file may be picked again
          picked();
        }}
      />
    </>
  );
}

/** Files may be dropped on all of what has the handlers, where the bot takes some. */
export function useDrop(picking: Picking | null) {
  const [isOver, setOver] = useState(false);
  if (!picking) return { isOver: false, handlers: {} };

  function hasFiles({ dataTransfer }: DragEvent): boolean {
    return dataTransfer.types.includes("Files");
  }

  const handlers = {
    onDragOver: (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      setOver(true);
    },
    onDragLeave: ({ currentTarget, relatedTarget }: DragEvent) => {
      if (!currentTarget.contains(relatedTarget as Node | null)) setOver(false);
    },
    onDrop: (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setOver(false);
      picking.pick(event.dataTransfer.files);
    },
  };
  return { isOver, handlers };
}

/** Picks what is pasted, unless it is a text: office programs copy a picture along with every text. */
export function paste(event: ClipboardEvent, picking: Picking | null): void {
  const { files, types } = event.clipboardData;
  if (!picking || files.length === 0 || (types.includes("text/plain") && types.includes("text/html"))) return;
  event.preventDefault();
  picking.pick(files);
}
