/* One entry of the thread as it is shown, and as it is announced to whoever listens instead of looking. */
import { type ReactNode, useEffect, useRef, useState } from "react";

import type { Conversation } from "./conversation";
import { type Entry, lateIdOf, spoken } from "./entries";
import { Answer, Bubbles, ComingAnswer } from "./reply";
import { SentFiles } from "./sent";

interface Shown {
  entry: Entry;
  title: string; // the bot's
  conversation: Conversation;
  goes: () => void; // a button that was pressed
  children?: ReactNode; // beside where a reply is from
}

export function Message({ entry, title, conversation, goes, children }: Shown) {
  switch (entry.kind) {
    case "coming":
      if (conversation.isHandedOff) return null; // a person may take their time, and the bot is silent
      return (
        <div className={`message of-bot ${entry.text ? "coming" : "typing"}`}>
          <span className="unseen">{title} is typing</span>
          <ComingAnswer {...entry} />
        </div>
      );
    case "person":
      return (
        <div className="message of-person">
          <span className="unseen">You said: </span>
          {entry.text && <p className="bubble">{entry.text}</p>}
          {entry.uploads.length > 0 && <SentFiles uploads={entry.uploads} />}
          {entry.isDelivered && <p className="delivered">Delivered</p>}
        </div>
      );
    case "bot":
      return (
        <div className="message of-bot">
          <span className="unseen">{title} said: </span>
          <Answer replies={entry.replies} source={entry.source}>
            {children}
            {entry.mayWait && <WaitForAnswer turnId={entry.id} conversation={conversation} goes={goes} />}
          </Answer>
        </div>
      );
    case "desk":
      return (
        <div className="message of-desk">
          <p className="speaker">
            Person<span className="unseen"> said: </span>
          </p>
          <Bubbles replies={entry.replies} />
        </div>
      );
    case "trouble": {
      const { again } = entry;
      return (
        <div className="message of-bot trouble" role="alert">
          <p>{entry.sentence}</p>
          {again && (
            <button
              type="button"
              disabled={conversation.isWaiting}
              onClick={() => {
                void conversation.sayAgain(again);
                goes();
              }}
            >
              Try again
            </button>
          )}
        </div>
      );
    }
  }
}

/** The generator was away: its answer can come later, if the person wants that. */
function WaitForAnswer({ turnId, conversation, goes }: { turnId: string } & Pick<Shown, "conversation" | "goes">) {
  if (conversation.entries.some(({ id }) => id === lateIdOf(turnId))) return null; // here it is
  const isWaitedFor = conversation.waitingFor.has(turnId);
  return (
    <>
      <p className="waiting" role="status">
        {isWaitedFor && "The answer will come here"}
      </p>
      {!isWaitedFor && (
        <button
          type="button"
          className="ask"
          onClick={() => {
            conversation.waitFor(turnId);
            goes();
          }}
        >
          Wait for an answer
        </button>
      )}
    </>
  );
}

/** The last reply of the bot or a person, each time that one is finished which was not there before; null until then. */
export function useNews(entries: readonly Entry[], isRestoring: boolean): Entry | null {
  const [news, setNews] = useState<Entry | null>(null);
  const isOld = useRef(isRestoring); // what was said before the page was loaded
  const told = useRef<string>(undefined);
  const last = entries.findLast(({ kind }) => kind === "bot" || kind === "desk");
  useEffect(() => {
    isOld.current ||= isRestoring;
    if (isRestoring) return;
    if (!isOld.current && told.current !== last?.id) setNews(last ?? null);
    isOld.current = false;
    told.current = last?.id;
  }, [isRestoring, last]);
  return news;
}

/** What a screen reader says: each reply when it is finished, and nothing of it while it comes. */
export function useAnnouncement(news: Entry | null, isComing: boolean, title: string): string {
  const [announced, announce] = useState("");
  const told = useRef(news);
  useEffect(() => {
    const typing = `${title} is typing`;
    const isNews = told.current !== news;
    told.current = news;
    if (isNews) announce(news ? `${news.kind === "desk" ? "Person" : title} said: ${spoken(news)}` : "");
    else announce((before) => (isComing ? typing : before === typing ? "" : before));
  }, [news, isComing, title]);
  return announced;
}
