/* Files as they are shown: what a person is about to send, and what they have sent, which they may have back. */
import { useContext, useEffect, useRef, useState } from "react";

import { Problem, type Upload, uploaded } from "./api";
import { fileOf, sizeOf } from "./files";
import { AtHome } from "./markdown";
import type { Picked, Picking } from "./picked";

const PREVIEW_PX = 320; // the longer side: twice as much as is shown, for fine screens
const KEPT_MS = 60_000; // until a browser has surely begun to save what it was given

/** What a person has sent with a message. */
export function SentFiles({ uploads }: { uploads: readonly Upload[] }) {
  return (
    <ul className="files" aria-label="Files">
      {uploads.map((upload) => (
        <SentFile key={upload.id} upload={upload} />
      ))}
    </ul>
  );
}

function SentFile({ upload }: { upload: Upload }) {
  const home = useContext(AtHome);
  const [trouble, setTrouble] = useState("");
  const file = fileOf(upload);

  async function save() {
    const pass = home.remembered;
    setTrouble("");
    try {
      if (file) hand(file, upload.name);
      else if (pass) hand(await uploaded(home, pass, upload), upload.name);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setTrouble(error.message);
    }
  }

  return (
    <li>
      <button type="button" className="file" title={`Save ${upload.name}`} onClick={() => void save()}>
        <Preview file={file} />
        <span className="unseen">Save </span>
        <FileName name={upload.name} about={sizeOf(upload.bytes)} />
      </button>
      <p className="file-trouble" role="status">
        {trouble}
      </p>
    </li>
  );
}

/** What goes with the next message. `removed`: the button that had the focus is gone. */
export function PickedFiles({ picking, removed }: { picking: Picking; removed: () => void }) {
  return (
    <ul className="files picked" aria-label="Files to send">
      {picking.picked.map((one) => (
        <li key={one.id} className={`file ${one.state}`} aria-busy={one.state === "sending"}>
          <Preview file={one.file} />
          <FileName name={one.file.name} about={aboutOf(one)} />
          {one.state === "failed" && one.mayTryAgain && (
            <FileButton name={`Try again to send ${one.file.name}`} press={() => picking.tryAgain(one)}>
              <path d="M19.500 12a7.500 7.500 0 1 1-2.200-5.300M19.500 3.500v4h-4" />
            </FileButton>
          )}
          <FileButton
            name={`Remove ${one.file.name}`}
            press={() => {
              picking.remove(one);
              removed();
            }}
          >
            <path d="M7 7l10 10M17 7 7 17" />
          </FileButton>
        </li>
      ))}
    </ul>
  );
}

function aboutOf(one: Picked): string {
  switch (one.state) {
    case "sending":
      return "sending…";
    case "sent":
      return sizeOf(one.upload.bytes);
    case "failed":
      return one.sentence;
  }
}

function FileName({ name, about }: { name: string; about: string }) {
  return (
    <span className="file-words">
      <span className="file-name">{name}</span>
      <span className="file-about">{about}</span>
    </span>
  );
}

function FileButton({ name, press, children }: { name: string; press: () => void; children: React.ReactNode }) {
  return (
    <button type="button" aria-label={name} title={name} onClick={press}>
      <svg viewBox="0 0 24 24" aria-hidden="true">
        {children}
      </svg>
    </button>
  );
}

/**
 * An image of this device, drawn: to load it from an address, the policy of the page would have to allow `blob:`. For
 * everything else, and what is no image after all, a sheet of paper.
 */
function Preview({ file }: { file: File | undefined }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [isDrawn, setDrawn] = useState(false);
  const image = file?.type.startsWith("image/") ? file : undefined;

  useEffect(() => {
    let isOver = false;
    async function draw(drawn: File) {
      const bitmap = await createImageBitmap(drawn);
      const scale = Math.min(1, PREVIEW_PX / Math.max(bitmap.width, bitmap.height));
      const context = canvas.current?.getContext("2d");
      if (context && !isOver) {
        context.canvas.width = Math.max(1, bitmap.width * scale);
        context.canvas.height = Math.max(1, bitmap.height * scale);
        context.drawImage(bitmap, 0, 0, context.canvas.width, context.canvas.height);
        setDrawn(true);
      }
      bitmap.close();
    }
    if (image) draw(image).catch(() => setDrawn(false));
    return () => {
      isOver = true;
    };
  }, [image]);

  return (
    <>
      {image && <canvas ref={canvas} className="preview" hidden={!isDrawn} aria-hidden="true" />}
      {!isDrawn && (
        <svg className="paper" viewBox="0 0 24 24" aria-hidden="true">
          <path d="M6.500 3.500h7l4 4v13h-11zM13.500 3.500v4h4" />
        </svg>
      )}
    </>
  );
}

/** Gives a file to the person, under its name. The API wants a token in a header, which no link can send. */
function hand(content: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT_MS);
}
