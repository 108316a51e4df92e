/**
 * What simulated devices are to do wrong: `[NAME:]WHEN`, where WHEN is `3` (every third reading), `5s` (from five seconds on) or
 * `5s+2s` (from five seconds on for two). A delay is `[NAME:]TIME[/WHEN]`.
 */
import type { Simulator } from "@sampleline/alicat"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { parseDuration } from "./durations.ts"
import { UsageError } from "./failures.ts"

export type FaultKind = Simulator.Fault["kind"]

export const FORMS: { readonly [kind in FaultKind]: string } = {
  delay: "[NAME:]TIME[/WHEN], such as 600ms/3 or sim2:1s/10s+5s",
  garble: "[NAME:]WHEN, such as 10 (every tenth reading), 5s+2s (from 5 s on for 2 s) or sim2:10",
  cut: "[NAME:]WHEN, such as 10 (every tenth reading), 5s+2s (from 5 s on for 2 s) or sim2:10",
  silent: "[NAME:]WHEN, such as 10 (every tenth reading), 5s+2s (from 5 s on for 2 s) or sim2:10",
  vanish: "[NAME:]AFTER[+FOR], such as 5s+2s (goes after 5 s and is back 2 s later) or sim2:5s",
  swap: "[NAME:]AFTER[+FOR], such as 5s+2s (goes after 5 s and is back 2 s later)"
}

type Occasion = NonNullable<Simulator.Occasion>

const parseOccasion = (text: string): Occasion | null => {
  if (/^[1-9]\d*$/.test(text)) return { every: Number(text) }
  const [after = "", lasts, ...more] = text.split("+")
  if (more.length > 0) return null
  const start = /^0(?:ms|s)?$/.test(after) ? 0 : Option.getOrNull(parseDuration(after))
  const length = lasts === undefined ? undefined : Option.getOrNull(parseDuration(lasts))
  return start === null || length === null ? null : { after: start, for: length }
}

const parseFault = (kind: FaultKind, text: string): Simulator.Fault | null => {
  const [, device, what = ""] = /^(?:(\w+):)?(.*)$/.exec(text) ?? []
  if (kind === "delay") {
    const [time = "", at] = what.split("/", 2)
    const by = Option.getOrUndefined(parseDuration(time))
    const when = at === undefined ? undefined : parseOccasion(at)
    return by === undefined || when === null ? null : { kind, device, by, when }
  }
  const when = parseOccasion(what)
  if (when === null) return null
  if (kind !== "vanish" && kind !== "swap") return { kind, device, when }
  return "every" in when ? null : { kind, device, ...when }
}

/** The faults in the texts of each kind. */
export const parseFaults = Effect.fnUntraced(function*(
  texts: { readonly [kind in FaultKind]: ReadonlyArray<string> }
): Effect.fn.Return<ReadonlyArray<Simulator.Fault>, UsageError> {
  const faults: Array<Simulator.Fault> = []
  for (const kind of Object.keys(FORMS) as ReadonlyArray<FaultKind>) {
    for (const text of texts[kind]) {
      const fault = parseFault(kind, text)
      if (fault === null) return yield* new UsageError({ message: `--${kind} ${text}: give it as ${FORMS[kind]}` })
      faults.push(fault)
    }
  }
  return faults
})
