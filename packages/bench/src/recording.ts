/**
 * What a recording costs: `sampleline record` and plain pollers record the same ten simulated devices, on ttys and on TCP, at 10 Hz
 * and at 100 Hz.
 *
 *     npm run bench:recording -- --only "tty, 100 Hz" --seconds 20 --rounds 3 --json
 *
 * In each round the programs take turns. The figures are medians of the rounds.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { measureRecording, type Recorded, type Timing } from "./measureRecording.ts"
import { canMeasureProcesses } from "./processUsage.ts"
import { buildPoller, plainPoller, type Program, programs } from "./programs.ts"
import { type Account, differences } from "./recordedRows.ts"
import { resultOf, tableOf } from "./recordingResults.ts"
import { simulate, type Transport } from "./simulator.ts"
import { warningsOnStderr } from "./warningsOnStderr.ts"

/** Where programs are compared. */
interface Site {
  readonly transport: Transport
  readonly rateHz: number
  readonly programs: ReadonlyArray<Program>
}

/** A pseudo-terminal needs a Unix. */
const TRANSPORTS: ReadonlyArray<Transport> = process.platform === "win32" ? ["tcp"] : ["tty", "tcp"]
const RATES = [10, 100]

const nameOf = ({ rateHz, transport }: Omit<Site, "programs">, { name }: Program) =>
  `${transport}, ${rateHz} Hz, ${name}`

/** The sites with the programs that were asked for. The plain poller is everywhere. */
const sitesOf = (only: RegExp): ReadonlyArray<Site> =>
  TRANSPORTS.flatMap((transport) => RATES.map((rateHz) => ({ transport, rateHz }))).flatMap((site) => {
    const chosen = [plainPoller, ...programs].filter((program) =>
      program.transports.includes(site.transport) && only.test(nameOf(site, program))
    )
    return chosen.length === 0
      ? []
      : [{ ...site, programs: [plainPoller, ...chosen.filter((it) => it !== plainPoller)] }]
  })

/** All programs of a site, in turns. */
const measureSite = Effect.fnUntraced(function*({ programs, rateHz, transport }: Site, timing: Timing, rounds: number) {
  const devices = yield* simulate(transport)
  const recorded = new Map<Program, Array<Recorded>>(programs.map((program) => [program, []]))
  for (let round = 1; round <= rounds; round++) {
    const accounts = new Map<Program, Account>()
    for (const program of round % 2 === 1 ? programs : programs.toReversed()) {
      yield* tell(`round ${round} of ${rounds}: ${nameOf({ transport, rateHz }, program)}`)
      const result = yield* measureRecording(program, timing, { transport, rateHz, devices })
      recorded.get(program)!.push(result.recorded)
      accounts.set(program, result.account)
    }
    yield* expectSameRows(accounts)
  }
  const plain = recorded.get(plainPoller)!
  return programs.map((program) =>
    resultOf({ transport, rateHz, program: program.name }, recorded.get(program)!, plain)
  )
}, Effect.scoped)

/** Dies if a program has not written the rows that the plain poller has written. */
const expectSameRows = Effect.fnUntraced(function*(accounts: ReadonlyMap<Program, Account>) {
  for (const [{ name }, account] of accounts) {
    const found = differences(account, accounts.get(plainPoller)!)
    if (found.length > 0) {
      return yield* Effect.die(new Error(`${name} and the plain poller differ. ${found.join("; ")}`))
    }
  }
})

const tell = (text: string) => Effect.sync(() => process.stderr.write(`${text}\n`))

/** What this system does not let us measure. */
const tellLimits = Effect.gen(function*() {
  if (!canMeasureProcesses) {
    yield* tell("this system has no /proc: processor time, context switches and memory are not measured")
  }
  if (!TRANSPORTS.includes("tty")) yield* tell("this system has no pseudo-terminals: ttys are not measured")
})

const positive = (name: string, description: string, byDefault: number) =>
  Flag.Int(name).pipe(
    Flag.filter((value) => value > 0, (value) => `a whole number above 0, not ${value}`),
    Flag.withDescription(`${description} (default: ${byDefault})`),
    Flag.withDefault(byDefault)
  )

const recording = Command.make("bench:recording", {
  only: Flag.String("only").pipe(
    Flag.withDescription(
      "Run only cases whose name matches this pattern, e.g. \"tty, 100 Hz\" or \"csv$\"; the plain poller runs beside each"
    ),
    Flag.mapTryCatch((text) => new RegExp(text), () => "a regular expression"),
    Flag.withDefault(/(?:)/)
  ),
  seconds: positive("seconds", "Seconds that are measured of each recording", 20),
  warmUpSeconds: positive("warm-up", "Seconds that each recording runs before", 5),
  rounds: positive("rounds", "Rounds per case", 3),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("Print the figures of all rounds as one JSON array"),
    Flag.withDefault(false)
  )
}, ({ json, only, rounds, seconds, warmUpSeconds }) =>
  Effect.gen(function*() {
    yield* tellLimits
    yield* buildPoller
    const rows = yield* Effect.forEach(sitesOf(only), (site) => measureSite(site, { seconds, warmUpSeconds }, rounds))
    yield* Console.log(json ? JSON.stringify(rows.flat()) : tableOf(rows.flat()))
  }).pipe(Effect.provide(warningsOnStderr))).pipe(
    Command.withDescription("Measure what a recording costs, beside a plain poller of the same devices")
  )

Command.run(recording, { version: "0.1.0" }).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
