/**
 * The help pages, laid out for the width of the terminal.
 */
import type { HelpDoc } from "effect/cli"
import * as Option from "effect/Option"
import { styleText } from "node:util"

/** The column of names. A longer name has a line of its own. */
const NAMES_WIDTH = 23
const MAX_WIDTH = 100

/** The page of a command as text. */
export const helpText = (doc: HelpDoc.HelpDoc, width: number): string => {
  const columns = Math.min(width, MAX_WIDTH)
  const entry = (name: string, text: string): string => {
    const lines = wrap(text, columns - NAMES_WIDTH - 2)
    const first = name.length <= NAMES_WIDTH - 2 ? `  ${name.padEnd(NAMES_WIDTH)}${lines.shift()}` : `  ${name}`
    return [first, ...lines.map((line) => " ".repeat(NAMES_WIDTH + 2) + line)].join("\n")
  }
  const sections: ReadonlyArray<readonly [title: string, entries: ReadonlyArray<string>]> = [
    ["USAGE", [`  ${doc.usage}`]],
    [
      "COMMANDS",
      (doc.subcommands ?? []).flatMap(({ commands }) =>
        commands.map(({ description, name, shortDescription }) => entry(name, shortDescription ?? description))
      )
    ],
    [
      "ARGUMENTS",
      (doc.args ?? []).map(({ description, name }) => entry(name, Option.getOrElse(description, () => "")))
    ],
    ["FLAGS", doc.flags.map((flag) => flagEntry(flag, entry))],
    ["GLOBAL FLAGS", (doc.globalFlags ?? []).map((flag) => flagEntry(flag, entry))],
    ["EXAMPLES", (doc.examples ?? []).map(({ command, description = "" }) => `  # ${description}\n  ${command}`)]
  ]
  return [
    wrap(doc.description, columns).join("\n"),
    ...sections.filter(([, entries]) => entries.length > 0)
      .map(([title, entries]) => `${styleText("bold", title)}\n${entries.join("\n")}`)
  ].join("\n\n")
}

const flagEntry = (flag: HelpDoc.FlagDoc, entry: (name: string, text: string) => string): string => {
  const names = [`--${flag.name}`, ...flag.aliases].join(", ")
  // The description lists the choices as well.
  const type = flag.type === "boolean" ? "" : flag.type.includes("|") ? " NAME" : ` ${flag.type}`
  return entry(`${names}${type}`, Option.getOrElse(flag.description, () => ""))
}

/** Lines of at most this many characters, where words allow it. */
const wrap = (text: string, width: number): Array<string> => {
  const lines = [""]
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!
    if (line === "") lines[lines.length - 1] = word
    else if (line.length + 1 + word.length <= width) lines[lines.length - 1] = `${line} ${word}`
    else lines.push(word)
  }
  return lines
}
