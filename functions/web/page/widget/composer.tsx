/* Where a message is written, dictated and sent, and files are picked to go with it. */
import { type FormEvent, type KeyboardEvent, type RefObject, useCallback, useEffect, useRef, useState } from "react";

import { Attach, paste } from "../conversation/attach";
import type { Conversation } from "../conversation/conversation";
import { isOfInputMethod } from "../conversation/keys";
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
  isShown: boolean;
}

export function Composer({ title, language, conversation, picking, input, isShown }: Composed) {
  const { isWaiting, isRestoring, stop, prepare, say } = conversation;
  const [text, setText] = useState("");
  const typed = useRef(""); // before what is heard
  const hears = useCallback((words: string) => setText(`${typed.current}${words}`.slice(0, LONGEST_MESSAGE)), []);
  const dictation = useDictation(language, isShown, hears);
  const isWriting = text.length > 0;
  const { hasFiles = false, isSending = false, hasFailed = false } = picking ?? {};
  const isSendable = (text.trim() !== "" || hasFiles) && !hasFailed && !isWaiting && !isRestoring;
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
    if (isSendable && hasFiles) sendNow(); // without them, it was not this message that was wanted
  });

  function send(event?: FormEvent) {
    event?.preventDefault();
    if (!isSendable) return;
    dictation?.drop();
    if (isSending) setWanted(true);
    else sendNow();
    input.current?.focus();
  }

  function sendNow() {
    setText("");
    void say(text.trim(), undefined, picking?.take());
  }

  function write(written: string) {
    dictation?.drop(); // what is heard next would be put in its place
    setText(written);
  }

  function key(event: KeyboardEvent) {
    if (event.key !== "Enter" || event.shiftKey || isOfInputMethod(event.nativeEvent)) return;
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
      {picking && hasFiles && <PickedFiles picking={picking} removed={() => attach.current?.focus()} />}
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
          onChange={({ target }) => write(target.value)}
          onKeyDown={key}
          onPaste={(event) => paste(event, picking)}
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
