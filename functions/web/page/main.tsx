/* The chat page begins here: one component in one element. */
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { Chat } from "./chat";

createRoot(document.getElementById("page")!).render(
  <StrictMode>
    <Chat />
  </StrictMode>,
);
