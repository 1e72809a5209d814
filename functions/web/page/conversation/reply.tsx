/* One answer of the bot: its bubbles, where it has them from, and what can be answered with a click. */
import { createContext, type ReactNode, useContext } from "react";

import { type Button, type Citation, documentAddress, type Reply, type Source } from "./api";
import { AtHome, Attachment, Markdown, Picture } from "./markdown";

const SOURCES: Record<Source, string> = {
  scripted: "Written by the people who run this bot",
  knowledge: "Found in the bot's documents",
  cached: "Said before to the same question",
  generated: "Written by a language model; it may be wrong",
  fallback: "The bot did not know better",
  handoff: "A person was called",
  person: "Written by a person",
};

/** What was said, and where it is from; `children` stand beside that. */
export function Answer({ replies, source, children }: { replies: Reply[]; source: Source; children?: ReactNode }) {
  return (
    <div>
      <Bubbles replies={replies} />
      <div className="about">
        <p className={`source source-${source}`} title={SOURCES[source]}>
          {source}
          <span className="unseen">: {SOURCES[source]}</span>
        </p>
        {children}
      </div>
    </div>
  );
}

/** A reply while it comes, in the place and the shape of the finished one. */
export function ComingAnswer({ text, citations, isStopping }: { text: string; citations: Citation[]; isStopping: boolean }) {
  return (
    <div>
      {text ? (
        <Bubbles replies={[{ text, citations }]} isComing />
      ) : (
        <div className="bubble">
          <span className="dots" aria-hidden="true" />
        </div>
      )}
      <div className="about">
        <p className="source">{isStopping ? "stopping" : text && "writing"}</p>
      </div>
    </div>
  );
}

export function Bubbles({ replies, isComing = false }: { replies: Reply[]; isComing?: boolean }) {
  return replies.map(({ text, image, attachment, citations = [] }, index) => (
    <div className="bubble" key={index}>
      {text && <Markdown isComing={isComing}>{text}</Markdown>}
      {image && <Picture src={image} alt="Picture" />}
      {attachment !== undefined && <Attachment attachment={attachment} />}
      {citations.length > 0 && <Citations citations={citations} />}
    </div>
  ));
}

/** The name of the bot whose documents are cited; empty while it is not known. */
export const BotName = createContext("");

/** Footnotes: a number and a place each, the passage itself on request. */
function Citations({ citations }: { citations: Citation[] }) {
  const home = useContext(AtHome);
  const bot = useContext(BotName);
  return (
    <ol className="citations" aria-label="Where this is from">
      {citations.map((citation, index) => (
        <li key={index}>
          <details>
            <summary>
              <span className="number">{index + 1}</span>
              <span className="place">{place(citation)}</span>
            </summary>
            <blockquote>
              <Markdown>{citation.text}</Markdown>
              <footer>
                {bot ? (
                  <a href={documentAddress(home, bot, citation)} target="_blank" rel="noopener">
                    {citation.document}
                  </a>
                ) : (
                  citation.document
                )}
              </footer>
            </blockquote>
          </details>
        </li>
      ))}
    </ol>
  );
}

/** Where a passage stands. */
export function place({ title, section, document }: Citation): string {
  const parts = [title || document, section].filter((part, index, all) => part && all.indexOf(part) === index);
  return parts.join(" › ");
}

/** The next messages that the bot suggests. */
export function Choices({ buttons, disabled, choose }: { buttons: Button[]; disabled: boolean; choose: (button: Button) => void }) {
  return (
    <ul className="choices" aria-label="Suggested answers">
      {buttons.map((button) => (
        <li key={`${button.title} ${button.payload}`}>
          <button type="button" disabled={disabled} onClick={() => choose(button)}>
            {button.title}
          </button>
        </li>
      ))}
    </ul>
  );
}
