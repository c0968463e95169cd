// Makes a text field an editor for SQL: colours, completion of tables and columns, Ctrl or Cmd and Enter to run. The field
// stays where it is and keeps the text, so that the form sends it as it would without this.

import { autocompletion, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { PostgreSQL, sql } from "@codemirror/lang-sql";
import { HighlightStyle, bracketMatching, syntaxHighlighting } from "@codemirror/language";
import { EditorState, Prec } from "@codemirror/state";
import { EditorView, drawSelection, keymap, lineNumbers, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";

const colours = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--accent)", fontWeight: "600" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--good)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--busy)" },
  { tag: tags.comment, color: "var(--text-muted)", fontStyle: "italic" },
  { tag: tags.typeName, color: "var(--warn)" },
]);

const theme = EditorView.theme({
  "&": { color: "var(--text)", backgroundColor: "var(--surface)", fontSize: "var(--size-normal)" },
  ".cm-scroller": { fontFamily: "var(--font-code)", lineHeight: "1.6", minHeight: "9rem", maxHeight: "24rem" },
  ".cm-content": { caretColor: "var(--text)", minHeight: "9rem" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-gutters": { color: "var(--text-muted)", backgroundColor: "var(--surface-sunken)", border: "0" },
  "&.cm-focused": { outline: "none" },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground": { background: "var(--accent-soft) !important" },
  ".cm-tooltip": { color: "var(--text)", backgroundColor: "var(--surface)", border: "1px solid var(--line-strong)" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--font-code)" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { color: "var(--on-accent)", background: "var(--accent)" },
  ".cm-placeholder": { color: "var(--text-muted)" },
});

/** `tables`: the columns of each table, by its full name, as JSON. */
export const mount = (field, tables) => {
  const run = () => {
    field.form.requestSubmit();
    return true;
  };
  const state = EditorState.create({
    doc: field.value,
    extensions: [
      Prec.highest(keymap.of([{ key: "Mod-Enter", run }])),
      lineNumbers(),
      history(),
      drawSelection(),
      bracketMatching(),
      autocompletion(),
      // Tab leaves the editor, as it leaves any other field.
      keymap.of([...completionKeymap, ...defaultKeymap, ...historyKeymap]),
      sql({ dialect: PostgreSQL, schema: JSON.parse(tables), defaultSchema: "gold", upperCaseKeywords: true }),
      syntaxHighlighting(colours),
      theme,
      placeholder(field.placeholder),
      EditorView.lineWrapping,
      EditorView.cspNonce.of(document.querySelector("script[nonce]")?.nonce ?? ""),
      EditorView.contentAttributes.of({ "aria-label": field.getAttribute("aria-label"), spellcheck: "false" }),
      EditorView.updateListener.of((update) => {
        if (update.docChanged) {
          field.value = update.state.doc.toString();
          field.dispatchEvent(new Event("input", { bubbles: true }));
        }
      }),
    ],
  });
  const box = document.createElement("div");
  box.className = "editor";
  field.before(box);
  const view = new EditorView({ state, parent: box });
  field.hidden = true;
  return {
    set: (text) => {
      if (text !== view.state.doc.toString()) {
        view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
      }
    },
    dispose: () => {
      view.destroy();
      box.remove();
      field.hidden = false;
    },
  };
};
