/*
 * Markdown from the bot as React elements.
 *
 * HTML in the text stays text, addresses other than http(s), mailto and tel lead nowhere, and pictures of other hosts
 * become links: nothing a bot says can run or load anything.
 */
import { createContext, type ReactNode, useContext } from "react";
import Compiler, { type MarkdownToJSX } from "markdown-to-jsx/react";

import type { Home } from "./home";

/** Where the conversation is at home whose replies are shown. */
export const AtHome = createContext<Home>(undefined!);

const SAFE = /^(https?:|mailto:|tel:)/i;

/** `isComing`: there is more to come, so marks that are not closed yet are held back. */
export function Markdown({ children, isComing = false }: { children: string; isComing?: boolean }) {
  return <Compiler options={isComing ? COMING : OPTIONS}>{children}</Compiler>;
}

/** A picture of the API's origin; one from elsewhere is offered as a link, since no other host is asked. */
export function Picture({ src, alt }: { src: string; alt: string }) {
  const { api } = useContext(AtHome);
  const address = addressOf(src, api);
  if (address?.origin === new URL(api).origin) return <img src={address.href} alt={alt} loading="lazy" />;
  return <Link href={address?.href}>{alt}</Link>;
}

/** A file, by an address or by `{url, name}`. In any other form it is meant for another channel. */
export function Attachment({ attachment }: { attachment: unknown }) {
  const { api } = useContext(AtHome);
  const { url, name, title } = fieldsOf(attachment);
  if (typeof url !== "string") return null;
  const address = addressOf(url, api);
  const told = [name, title, address?.pathname.split("/").at(-1)].find((text) => text && typeof text === "string");
  return (
    <p>
      <Link href={address?.href}>{told ? String(told) : url}</Link>
    </p>
  );
}

function fieldsOf(attachment: unknown): Record<string, unknown> {
  if (typeof attachment === "string") return { url: attachment };
  return typeof attachment === "object" && attachment !== null ? { ...attachment } : {};
}

function addressOf(text: string, base: string): URL | null {
  try {
    return new URL(text, base);
  } catch {
    return null;
  }
}

function Link({ href, children }: { href?: string; children?: ReactNode }) {
  if (!href || !SAFE.test(href)) return <>{children}</>;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  );
}

function MarkdownPicture({ src, alt }: { src?: string; alt?: string }) {
  return src ? <Picture src={src} alt={alt || "Picture"} /> : <>{alt}</>;
}

/** A heading inside a bubble is no heading of the page. */
function Emphasised({ children }: { children?: ReactNode }) {
  return (
    <p>
      <strong>{children}</strong>
    </p>
  );
}

const OPTIONS: MarkdownToJSX.Options = {
  disableParsingRawHTML: true,
  forceBlock: true,
  overrides: {
    a: Link,
    img: MarkdownPicture,
    h1: Emphasised,
    h2: Emphasised,
    h3: Emphasised,
    h4: Emphasised,
    h5: Emphasised,
    h6: Emphasised,
  },
};

const COMING: MarkdownToJSX.Options = { ...OPTIONS, optimizeForStreaming: true };
