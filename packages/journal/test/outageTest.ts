/**
 * Lets outputs fail for as long as they do in practice, and measures what a recording suffers: three devices at 100 Hz, with a
 * journal, into a CSV and into outputs that fail. The same recording without the outage runs beside it.
 *
 *     npm run outage-test -- --only postgres-stopped,disk-full-10
 *
 * It ends with exit code 1 if a bound is broken. A machine that is busy with other things skips slots of its own: then run the
 * outage again alone.
 */
import { Cause, Console, Effect } from "effect"
import { parseArgs } from "node:util"
import { type Measured, runOutage } from "./outageRun.ts"
import { canMountDisk, type Outage, outages } from "./outages.ts"

const { values } = parseArgs({ options: { only: { type: "string" } } })
const names = values.only?.split(",") ?? Object.keys(outages)
const unknown = names.filter((name) => outages[name] === undefined)

const say = (text: string) => Effect.sync(() => process.stderr.write(text))

const runNamed = Effect.fnUntraced(function*(name: string, n: number) {
  const outage = outages[name]!
  yield* say(`${n + 1} of ${names.length}: ${name}`)
  if (outage.smallDisk !== undefined && !canMountDisk) {
    return yield* Effect.as(say(": skipped, for no small disk can be mounted here\n"), [])
  }
  const measured = yield* runOutage(outage)
  yield* say(measured.problems.length === 0 ? ": good\n" : `:\n  ${measured.problems.join("\n  ")}\n`)
  yield* Console.log(line(rowOf(outage, measured)))
  return [measured]
})

const HEAD = [
  "outage",
  "for",
  "rows",
  "missing or twice",
  "late ticks (without)",
  "CSV behind",
  "output behind",
  "up to date after",
  "memory",
  "journal"
]

const line = (cells: ReadonlyArray<string>) => `| ${cells.join(" | ")} |`

const withSign = (count: number) => `${count > 0 ? "+" : ""}${count}`

const rowOf = (outage: Outage, measured: Measured): ReadonlyArray<string> => [
  outage.what,
  `${outage.seconds} s`,
  String(measured.accepted),
  String(measured.missingOrTwice),
  `${measured.lateTicks} (${measured.undisturbedLateTicks})`,
  `${measured.csvBehindSeconds.toFixed(1)} s`,
  `${measured.behind} rows`,
  `${outage.signal === undefined ? "" : "resume; ended in "}${measured.seconds?.toFixed(1) ?? "too many"} s`,
  `${withSign(Math.round(measured.memoryMiB))} MiB`,
  `${measured.journalMiB.toFixed(1)} MiB`
]

const main = Effect.gen(function*() {
  if (unknown.length > 0) {
    return yield* Effect.fail(`no such outage: ${unknown.join(", ")}. Choose among ${Object.keys(outages).join(", ")}`)
  }
  yield* Console.log(line(HEAD))
  yield* Console.log(line(HEAD.map((_, n) => n === 0 ? "---" : "---:")))
  const found = (yield* Effect.forEach(names, runNamed)).flat()
  if (found.some(({ problems }) => problems.length > 0)) process.exitCode = 1
})

const fiber = Effect.runFork(main)
// Servers and recorders end with this process.
process.once("SIGINT", () => fiber.interruptUnsafe())
fiber.addObserver((exit) => {
  if (exit._tag === "Success") return
  process.stderr.write(`${Cause.pretty(exit.cause)}\n`)
  process.exitCode = 1
})
