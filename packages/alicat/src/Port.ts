/**
 * A port with devices on it: one command in flight, replies with the times of their own request.
 *
 * Limits: a reply that comes after its time-out is thrown away by the next request, as far as it has arrived by then.
 */
import { SampleClock, type SourceDependencyError, type SourceOpenError } from "@sampleline/core"
import { Cause, Duration, Effect, Queue, type Result, Schema, type Scope, Semaphore } from "effect"
import type { OpenTransport } from "./Transport.ts"
import { encodeCommand, isRejection, LineSplitter, lineText } from "./wire/Framing.ts"
import { type MalformedReply, quoteBytes, RejectedCommand } from "./wire/WireError.ts"

/**
 * No reply came in time.
 *
 * @since 0.1.0
 * @category errors
 */
export class NoReply extends Schema.TaggedError<NoReply>()("NoReply", {
  afterMs: Schema.Finite
}) {
  override get message() {
    return `no reply within ${this.afterMs} ms`
  }
}

/**
 * The port is gone: unplugged, or closed by the system.
 *
 * @since 0.1.0
 * @category errors
 */
export class PortGone extends Schema.TaggedError<PortGone>()("PortGone", {
  path: Schema.String,
  cause: Schema.optional(Schema.Defect())
}) {
  override get message() {
    return `the port ${this.path} is gone`
  }
}

/**
 * Whatever a request can fail with.
 *
 * @since 0.1.0
 * @category errors
 */
export type RequestError = NoReply | PortGone | MalformedReply | RejectedCommand

/**
 * A value out of a reply, and when it was asked for and got.
 *
 * @since 0.1.0
 * @category models
 */
export interface Reply<A> {
  readonly value: A
  /** Just before the command was written: microseconds since the epoch. */
  readonly requestedAt: number
  readonly requestedMonotonicNanos: number
  /** When the last byte of the line had arrived: microseconds since the epoch. */
  readonly receivedAt: number
  readonly receivedMonotonicNanos: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Port {
  readonly path: string
  /** Sends a command that is answered by one line. */
  readonly askLine: <A>(
    command: string,
    decode: (line: Uint8Array) => Result.Result<A, MalformedReply>
  ) => Effect.Effect<Reply<A>, RequestError>
  /** Sends a command that is answered by a table. */
  readonly askTable: <A>(
    command: string,
    decode: (lines: ReadonlyArray<Uint8Array>) => Result.Result<A, MalformedReply>
  ) => Effect.Effect<A, RequestError>
  readonly setBaud: (baud: number) => Effect.Effect<void, PortGone>
}

/** How long a device may take to answer by a line, and by the first line of a table. */
const LINE_TIMEOUT_MS = 500
const TABLE_TIMEOUT_MS = 1000
/** A table has ended after this much silence. */
const TABLE_SILENCE_MS = 100
/** After a reply that makes no sense the rest of it may still be on its way. */
const SETTLE = Duration.millis(20)

interface Line {
  readonly bytes: Uint8Array
  readonly at: number
  readonly monotonicNanos: number
}

/**
 * Opens a port; the scope closes it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const openPort = Effect.fnUntraced(function*(
  path: string,
  open: OpenTransport,
  baud: number
): Effect.fn.Return<Port, SourceOpenError | SourceDependencyError, Scope.Scope> {
  const clock = yield* SampleClock.current
  const lines = yield* Queue.make<Line, PortGone>()
  const inFlight = yield* Semaphore.make(1)
  const splitter = new LineSplitter()
  const transport = yield* open({
    onData: (chunk) => {
      const at = clock.epochMicros()
      const monotonicNanos = clock.monotonicNanos()
      for (const bytes of splitter.push(chunk)) Queue.offerUnsafe(lines, { bytes, at, monotonicNanos })
    },
    onClose: (cause) => Queue.failCauseUnsafe(lines, portGone(path, cause))
  }, baud)
  const toPortGone = (cause: Error) => new PortGone({ path, cause })

  const send = Effect.fnUntraced(function*(command: string) {
    yield* Queue.clear(lines)
    splitter.reset()
    yield* Effect.logDebug(`${path} < ${command}`)
    const requestedAt = clock.epochMicros()
    const requestedMonotonicNanos = clock.monotonicNanos()
    yield* Effect.mapError(transport.write(encodeCommand(command)), toPortGone)
    return { requestedAt, requestedMonotonicNanos }
  })

  /** The next line that is not empty; fails if it is a rejection. */
  const takeLine = Effect.fnUntraced(function*(command: string): Effect.fn.Return<Line, PortGone | RejectedCommand> {
    while (true) {
      const line = yield* Queue.take(lines)
      yield* Effect.logDebug(`${path} > ${quoteBytes(line.bytes)}`)
      const text = lineText(line.bytes)
      if (text._tag === "Success" && text.success.trim() === "") continue
      if (text._tag === "Success" && isRejection(text.success)) return yield* new RejectedCommand({ command })
      return line
    }
  })

  const within = (afterMs: number) =>
    Effect.timeoutOrElse({ duration: afterMs, orElse: () => Effect.fail(new NoReply({ afterMs })) })

  const inTurn = <A, E extends RequestError>(request: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    inFlight.withPermits(1)(
      Effect.tapError(
        request,
        (error) =>
          error._tag === "MalformedReply" || error._tag === "RejectedCommand" ? Effect.sleep(SETTLE) : Effect.void
      )
    )

  return {
    path,
    askLine: (command, decode) =>
      inTurn(Effect.gen(function*() {
        const [sent, line] = yield* Effect.gen(function*() {
          return [yield* send(command), yield* takeLine(command)] as const
        }).pipe(within(LINE_TIMEOUT_MS))
        const value = yield* Effect.fromResult(decode(line.bytes))
        return { value, ...sent, receivedAt: line.at, receivedMonotonicNanos: line.monotonicNanos }
      })),
    askTable: (command, decode) =>
      inTurn(Effect.gen(function*() {
        const first = yield* Effect.andThen(send(command), takeLine(command)).pipe(within(TABLE_TIMEOUT_MS))
        const table = [first.bytes]
        while (true) {
          const line = yield* Effect.timeoutOption(Queue.take(lines), TABLE_SILENCE_MS)
          if (line._tag === "None") break
          table.push(line.value.bytes)
        }
        return yield* Effect.fromResult(decode(table))
      })),
    setBaud: (rate) => inTurn(Effect.mapError(transport.setBaud(rate), toPortGone))
  }
})

const portGone = (path: string, cause: Error | null): Cause.Cause<PortGone> =>
  Cause.fail(new PortGone({ path, ...(cause === null ? {} : { cause }) }))
