/* Where a message is written, dictated and sent. */
import { type FormEvent, type KeyboardEvent, type RefObject, useCallback, useEffect, useRef, useState } from "react";

import type { Conversation } from "../conversation/conversation";
import { useDictation } from "./voice";

const LONGEST_MESSAGE = 4000; // characters; the API refuses more
const COUNTED_FROM = 3500; // where the composer begins to say how many are left

interface Composed {
  title: string;
  language: string;
  conversation: Conversation;
  input: RefObject<HTMLTextAreaElement | null>;
}

export function Composer({ title, language, conversation, input }: Composed) {
  const { isWaiting, isRestoring, stop, prepare, say } = conversation;
  const [text, setText] = useState("");
  const typed = useRef(""); // before what is heard
  const hears = useCallback((words: string) => setText(`${typed.current}${words}`.slice(0, LONGEST_MESSAGE)), []);
  const dictation = useDictation(language, hears);
  const isWriting = text.length > 0;
  const isSendable = text.trim() !== "" && !isWaiting && !isRestoring;

  useEffect(() => {
    if (isWriting) prepare();
  }, [isWriting, prepare]);

  useEffect(() => {
    const field = input.current!;
    if (CSS.supports("field-sizing", "content")) return;
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight}px`;
  }, [input, text]);

  function send(event?: FormEvent) {
    event?.preventDefault();
    if (!isSendable) return;
    dictation?.stop();
    setText("");
    void say(text.trim());
    input.current?.focus();
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
      <div className="field">
        <textarea
          ref={input}
          rows={1}
          dir={isWriting ? "auto" : undefined}
          aria-label={`Message to ${title}`}
          placeholder={dictation?.isListening ? "Listening…" : "Write a message"}
          maxLength={LONGEST_MESSAGE}
          enterKeyHint="send"
          value={text}
          onChange={({ target }) => setText(target.value)}
          onKeyDown={key}
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
          <button type="submit" className="send" aria-label="Send" disabled={!isSendable}>
            <svg viewBox="0 0 24 24" aria-hidden="true">
              <path d="M12 19V5M5.500 11.500 12 5l6.500 6.500" />
            </svg>
          </button>
        )}
      </div>
      <p className="quiet" role="status">
        {dictation?.trouble || (text.length >= COUNTED_FROM && `${text.length} of ${LONGEST_MESSAGE} characters`)}
      </p>
    </form>
  );
}
