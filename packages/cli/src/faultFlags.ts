/**
 * The flags that make simulated devices misbehave.
 *
 * A fault is `[NAME:]WHEN`. WHEN is `10` (every tenth reading), `5s` (after five seconds) or `5s+2s` (after five seconds, for two
 * seconds). A delay is `[NAME:]TIME[/WHEN]`. A port that vanishes or is swapped has a time only.
 */
import type { Simulator } from "@sampleline/alicat"
import { parseDuration } from "@sampleline/core"
import { Flag } from "effect/cli"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { UsageError } from "./errors.ts"

type FaultKind = Simulator.Fault["kind"]

interface Form {
  readonly form: string
  readonly examples: string
}

const OF_READINGS: Form = {
  form: "[NAME:]WHEN",
  examples: "10 (every tenth reading) or sim2:5s+2s (sim2, after 5 s, for 2 s)"
}

const FORMS: { readonly [kind in FaultKind]: Form } = {
  delay: {
    form: "[NAME:]TIME[/WHEN]",
    examples: "600ms/3 (every third reading) or sim2:1s/10s+5s (sim2, after 10 s, for 5 s)"
  },
  garble: OF_READINGS,
  cut: OF_READINGS,
  silent: OF_READINGS,
  vanish: { form: "[NAME:]AFTER[+FOR]", examples: "5s or sim2:5s+2s (the port of sim2, after 5 s, for 2 s)" },
  swap: { form: "[NAME:]AFTER[+FOR]", examples: "5s+2s (after 5 s, for 2 s)" }
}

const faultFlag = (kind: FaultKind, description: string) =>
  Flag.String(kind).pipe(
    Flag.withMetavar(FORMS[kind].form),
    Flag.withDescription(`${description}, such as ${FORMS[kind].examples}; can be repeated`),
    Flag.atLeast(0)
  )

export const faultFlags = {
  delay: faultFlag("delay", "Answer late"),
  garble: faultFlag("garble", "Put a byte of noise into the reply"),
  cut: faultFlag("cut", "Leave out the second half of the reply"),
  silent: faultFlag("silent", "Do not reply"),
  vanish: faultFlag("vanish", "Remove the port"),
  swap: faultFlag("swap", "Remove two ports and bring each back with the other's devices")
}

/** The faults that the flags ask for. */
export const parseFaults = Effect.fnUntraced(function*(
  texts: { readonly [kind in FaultKind]: ReadonlyArray<string> }
): Effect.fn.Return<ReadonlyArray<Simulator.Fault>, UsageError> {
  const faults: Array<Simulator.Fault> = []
  for (const kind of Object.keys(FORMS) as ReadonlyArray<FaultKind>) {
    for (const text of texts[kind]) {
      const fault = parseFault(kind, text)
      if (fault === null) {
        const { examples, form } = FORMS[kind]
        return yield* new UsageError({ message: `--${kind} ${text}: write ${form}, such as ${examples}` })
      }
      faults.push(fault)
    }
  }
  return faults
})

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

type Occasion = NonNullable<Simulator.Occasion>

const parseOccasion = (text: string): Occasion | null => {
  if (/^[1-9]\d*$/.test(text)) return { every: Number(text) }
  const [after = "", lasts, ...more] = text.split("+")
  if (more.length > 0) return null
  const start = /^0(?:ms|s)?$/.test(after) ? 0 : Option.getOrNull(parseDuration(after))
  const length = lasts === undefined ? undefined : Option.getOrNull(parseDuration(lasts))
  return start === null || length === null ? null : { after: start, for: length }
}
