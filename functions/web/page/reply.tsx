/* One answer of the bot: its bubbles, where it has them from, and what can be answered with a click. */
import type { Button, Citation, Reply, Source } from "./api";
import { Markdown, Picture } from "./markdown";

const SOURCES: Record<Source, string> = {
  scripted: "Written by the people who run this bot",
  knowledge: "Found in the bot's documents",
  cached: "Said before to the same question",
  generated: "Written by a language model; it may be wrong",
  fallback: "The bot did not know better",
};

export function Answer({ replies, source }: { replies: Reply[]; source: Source }) {
  return (
    <>
      {replies.map((reply, index) => (
        <div className="bubble" key={index}>
          {reply.text && <Markdown>{reply.text}</Markdown>}
          {reply.image && <Picture src={reply.image} alt="Picture from the bot" />}
          {reply.citations && reply.citations.length > 0 && <Citations citations={reply.citations} />}
        </div>
      ))}
      <p className={`source source-${source}`} title={SOURCES[source]}>
        {source}
        <span className="unseen">: {SOURCES[source]}</span>
      </p>
    </>
  );
}

/** Footnotes: a number and a place each, the passage itself on request. */
function Citations({ citations }: { citations: Citation[] }) {
  return (
    <ol className="citations" aria-label="Where this is from">
      {citations.map((citation, index) => (
        <li key={index}>
          <details>
            <summary>
              <span className="number">{index + 1}</span>
              {place(citation)}
            </summary>
            <blockquote>
              <Markdown>{citation.text}</Markdown>
              <footer>{citation.document}</footer>
            </blockquote>
          </details>
        </li>
      ))}
    </ol>
  );
}

function place({ title, section, document }: Citation): string {
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
