/**
 * Where a page is: `--view [PORT]`, the one flag whose value may be left out, and the address that others open.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { say } from "./terminal.ts"

/** The port of a page; `auto` is the usual one, or another if that is used. */
export type ViewPort = number | "auto"

export const VIEW_FORM = "a port such as 8080, or nothing"

const AUTO = "auto"

/** None if the text is no port. */
export const parseViewPort = (text: string): Option.Option<ViewPort> => {
  if (text === AUTO) return Option.some(AUTO)
  return /^\d{1,5}$/.test(text) && Number(text) <= 65_535 ? Option.some(Number(text)) : Option.none()
}

/** The same arguments, where the flag always has a value. */
export const withViewPort = (args: ReadonlyArray<string>): ReadonlyArray<string> =>
  args.flatMap((arg, at) => arg === "--view" && !/^\d/.test(args[at + 1] ?? "") ? [`--view=${AUTO}`] : [arg])

/** The address with the token is for whoever started this program, and is in no log. Null: the page needs none. */
export const sayToken = (urlWithToken: Redacted.Redacted | null): Effect.Effect<void> =>
  Effect.sync(() => {
    if (urlWithToken === null) return
    say(`open the page from another machine with its token: ${Redacted.value(urlWithToken)}`)
  })
