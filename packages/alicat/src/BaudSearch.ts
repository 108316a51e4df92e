/**
 * Opens a port and finds its baud rate: the first at which a device answers. A device that was left streaming is stopped.
 */
import { type SourceDependencyError, SourceOpenError } from "@sampleline/core"
import { type Duration, Effect, Option, type Scope } from "effect"
import { answers, didNotAnswer } from "./OpenDevice.ts"
import type { OutstandingReplies } from "./OutstandingReplies.ts"
import { openPlace } from "./Place.ts"
import type { PortPlan, Unit } from "./Plan.ts"
import type { Port } from "./Port.ts"

/** Even a slow device that streams sends a reading within this time. */
const STREAM_INTERVAL = "1 second"

/** A write to a port that is closing fails before the port is reported as closed. */
const CLOSE_WAIT = "100 millis"

/** Opens the port and finds its baud rate, which is null for TCP. Devices are not opened yet. The scope closes the port. */
export const connect = Effect.fnUntraced(function*(
  plan: PortPlan,
  timeout: Duration.Duration,
  outstanding: OutstandingReplies
): Effect.fn.Return<
  { readonly port: Port; readonly baud: number | null },
  SourceOpenError | SourceDependencyError,
  Scope.Scope
> {
  const port = yield* openPlace(plan, plan.bauds[0], timeout, outstanding)
  const baud = yield* findBaud(port, plan)
  yield* Effect.logInfo(`opened ${port.path}${baud === null ? "" : ` at ${baud} baud`}`)
  return { port, baud }
})

/** Tries each baud rate twice, because noise may cost the first reply. */
const findBaud = Effect.fnUntraced(function*(port: Port, { bauds, path, units }: PortPlan) {
  const [first] = units as [Unit]
  const rates: ReadonlyArray<number | null> = bauds.length === 0 ? [null] : bauds
  for (const baud of [...rates, ...rates]) {
    if (bauds.length > 1) yield* Effect.ignore(port.setBaud(baud!))
    if (units.length === 1) yield* Effect.ignore(port.stopStreaming(first.unitId))
    const silent = yield* Effect.filter(units, (unit) => Effect.map(answers(port, unit), (answered) => !answered))
    if (units.length > 1 && silent.length > 0 && (yield* isStreaming(port))) {
      if (silent.length > 1) continue
      yield* stopStreaming(port, silent[0]!)
    }
    if (silent.length < units.length) return baud
  }
  const closed = yield* Effect.timeoutOption(port.closed, CLOSE_WAIT)
  if (Option.isSome(closed)) return yield* closedAtOnce(path, bauds.length === 0)
  return yield* units.length > 1 && port.heardPushed
    ? unknownUnitStreams(path, units.length)
    : didNotAnswer(port, first, bauds)
})

const isStreaming = (port: Port): Effect.Effect<boolean> =>
  port.heardPushed
    ? Effect.succeed(true)
    : Effect.map(Effect.sleep(STREAM_INTERVAL), () => port.heardPushed)

/**
 * Stops a device that a program left streaming when it died. The command does nothing to a device that does not stream, but
 * gives its unit id to the one that does. On a shared port that must be the only unit that does not answer.
 */
const stopStreaming = Effect.fnUntraced(function*(port: Port, { name, unitId }: Unit) {
  yield* Effect.logWarning(`${port.path}: ${name} (unit ${unitId}) was left streaming; it is stopped`).pipe(
    Effect.annotateLogs({ device: name })
  )
  yield* Effect.ignore(port.stopStreaming(unitId))
})

/** Many serial servers accept a second connection only to close it. */
const closedAtOnce = (path: string, isTcp: boolean) =>
  new SourceOpenError({
    target: path,
    reason: isTcp ? "Busy" : "NotFound",
    detail: isTcp
      ? "the serial server closed the connection at once; another program may be connected. Close that program first"
      : "the port went away while its devices were looked for; check the cable"
  })

const unknownUnitStreams = (path: string, units: number) =>
  new SourceOpenError({
    target: path,
    reason: "Busy",
    detail:
      `one of ${units} units streams, and its unit id is unknown; stop it with \`@@\` and its unit id, or switch it off and on`
  })
