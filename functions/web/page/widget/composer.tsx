/* Where a message is written, dictated and sent, and files are picked to go with it. */
import {
  type ClipboardEvent,
  type FormEvent,
  type KeyboardEvent,
  type RefObject,
  useCallback,
  useEffect,
  useRef,
  useState,
} from "react";

import type { Conversation } from "../conversation/conversation";
import { accepted } from "../conversation/files";
import type { Picking } from "../conversation/picked";
import { PickedFiles } from "../conversation/sent";
import { useDictation } from "./voice";

export const HAS_KEYBOARD = matchMedia("(pointer: fine)").matches; // elsewhere a focused field would cover half the screen
const LONGEST_MESSAGE = 4000; // characters; the API refuses more
const COUNTED_FROM = 3500; // where the composer begins to say how many are left

interface Composed {
  title: string;
  language: string;
  conversation: Conversation;
  picking: Picking | null; // null: the bot takes no files
  input: RefObject<HTMLTextAreaElement | null>;
}

export function Composer({ title, language, conversation, picking, input }: Composed) {
  const { isWaiting, isRestoring, stop, prepare, say } = conversation;
  const [text, setText] = useState("");
  const typed = useRef(""); // before what is heard
  const hears = useCallback((words: string) => setText(`${typed.current}${words}`.slice(0, LONGEST_MESSAGE)), []);
  const dictation = useDictation(language, hears);
  const isWriting = text.length > 0;
  const picked = picking?.picked ?? [];
  const isSending = picked.some(({ state }) => state === "sending");
  const isComplete = picked.every(({ state }) => state !== "failed");
  const isSendable = (text.trim() !== "" || picked.length > 0) && isComplete && !isWaiting && !isRestoring;
  const [isWanted, setWanted] = useState(false); // it is sent as soon as its files are
  const attach = useRef<HTMLButtonElement>(null);

  useEffect(() => {
    if (isWriting) prepare();
  }, [isWriting, prepare]);

  useEffect(() => {
    const field = input.current!;
    if (CSS.supports("field-sizing", "content")) return;
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight}px`;
  }, [input, text]);

  useEffect(() => {
    if (!isWanted || isSending) return;
    setWanted(false);
    if (isSendable) sendNow();
  });

  function send(event?: FormEvent) {
    event?.preventDefault();
    if (!isSendable) return;
    dictation?.stop();
    if (isSending) setWanted(true);
    else sendNow();
    input.current?.focus();
  }

  function sendNow() {
    setText("");
    picking?.clear();
    void say(text.trim(), undefined, picked.flatMap((one) => (one.state === "sent" ? [one.upload] : [])));
  }

  /** Office programs copy a picture along with every text. */
  function paste(event: ClipboardEvent) {
    const { files, types } = event.clipboardData;
    if (!picking || files.length === 0 || (types.includes("text/plain") && types.includes("text/html"))) return;
    event.preventDefault();
    picking.pick(files);
  }

  function key(event: KeyboardEvent) {
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    send();
  }

  function dictate() {
    typed.current = text && !/\s$/.test(text) ? `${text} ` : text;
    dictation?.toggle();
  }

  function stopReply() {
    stop?.();
    input.current?.focus(); // the button goes
  }

  return (
    <form className="composer" onSubmit={send}>
      {picking && picked.length > 0 && <PickedFiles picking={picking} removed={() => attach.current?.focus()} />}
      <div className="field">
        {picking && (
          <Attach
            button={attach}
            picking={picking}
            picked={() => {
              if (HAS_KEYBOARD) input.current?.focus();
            }}
          />
        )}
        <textarea
          ref={input}
          rows={1}
          dir={isWriting ? "auto" : undefined}
          aria-label={`Message to ${title}`}
          placeholder={dictation?.isListening ? "Listening…" : "Write a message"}
          maxLength={LONGEST_MESSAGE}
          enterKeyHint="send"
          readOnly={isWanted}
          value={text}
          onChange={({ target }) => setText(target.value)}
          onKeyDown={key}
          onPaste={paste}
        />
        {dictation && (
          <button
            type="button"
            className="dictate"
            aria-label="Dictate"
            title="Dictate"
            aria-pressed={dictation.isListening}
            onClick={dictate}
          >
            <svg viewBox="0 0 24 24" aria-hidden="true">
              <path d="M12 3.500a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0v-5a3 3 0 0 1 3-3zM5.500 11.500a6.500 6.500 0 0 0 13 0M12 18v3" />
            </svg>
          </button>
        )}
        {stop ? (
          <button type="button" className="stop" aria-label="Stop the reply" onClick={stopReply}>
            <svg viewBox="0 0 24 24" aria-hidden="true">
              <rect x="7" y="7" width="10" height="10" rx="1.5" />
            </svg>
          </button>
        ) : (
          <button type="submit" className="send" aria-label="Send" aria-busy={isWanted} disabled={!isSendable}>
            <svg viewBox="0 0 24 24" aria-hidden="true">
              <path d="M12 19V5M5.500 11.500 12 5l6.500 6.500" />
            </svg>
          </button>
        )}
      </div>
      <p className="quiet" role="status">
        {(isWanted && "It is sent as soon as its files are there.") ||
          picking?.refusal ||
          dictation?.trouble ||
          (text.length >= COUNTED_FROM && `${text.length} of ${LONGEST_MESSAGE} characters`)}
      </p>
      <p className="unseen" role="status">
        {picking?.news}
      </p>
    </form>
  );
}

interface Attached {
  button: RefObject<HTMLButtonElement | null>;
  picking: Picking;
  picked: () => void;
}

function Attach({ button, picking, picked }: Attached) {
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
