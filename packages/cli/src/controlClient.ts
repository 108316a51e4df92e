/**
 * Talks to a running recorder. It is asked where its journal's folder says.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import * as net from "node:net"
import { Address, Reply, type Request, VERSION } from "./controlProtocol.ts"
import { addressFile } from "./controlSocket.ts"

/** Why a recorder gave no reply. */
export class ControlError extends Schema.TaggedError<ControlError>()("ControlError", {
  /**
   * `Gone`: nobody listens. `NotAllowed`: it is another user's. `Mute`: it lives and does not reply. `Busy`: too many others ask.
   * `Refused`: it understood, and does not do it. `Unreadable`: it speaks another version.
   */
  reason: Schema.Literals(["Gone", "NotAllowed", "Mute", "Busy", "Refused", "Unreadable"]),
  message: Schema.String
}) {}

/** Where a journal's recorder listens; null if it does not tell. */
export const addressIn = (journal: string): Address | null => {
  try {
    return Schema.decodeSync(Schema.fromJsonString(Address))(fs.readFileSync(addressFile(journal), "utf8"))
  } catch {
    return null
  }
}

/** How long a recorder may take to reply. One whose disk is slow may take a second. */
const PATIENCE = "5 seconds"

/** The only reply to a request. Waits while too many others ask. */
export const ask = <Kind extends Reply["reply"]>(
  address: Address,
  request: Request,
  kind: Kind
): Effect.Effect<ReplyOf<Kind>, ControlError> =>
  Effect.scoped(Effect.flatMap(open(address, request), (replies) => replies.next(kind))).pipe(
    Effect.retry({ while: ({ reason }) => reason === "Busy", schedule: Schedule.spaced("100 millis"), times: 40 })
  )

type ReplyOf<Kind> = Extract<Reply, { readonly reply: Kind }>

export interface Replies {
  /** The next reply, which comes soon. */
  readonly next: <Kind extends Reply["reply"]>(kind: Kind) => Effect.Effect<ReplyOf<Kind>, ControlError>
  /** The next reply, whenever it comes. */
  readonly later: <Kind extends Reply["reply"]>(kind: Kind) => Effect.Effect<ReplyOf<Kind>, ControlError>
  /** Returns when the recorder has closed the connection. */
  readonly closed: Effect.Effect<void>
}

/** Sends a request. The scope closes the connection. */
export const open = Effect.fnUntraced(function*(
  address: Address,
  request: Request
): Effect.fn.Return<Replies, never, Scope.Scope> {
  const replies = yield* Queue.unbounded<Reply, ControlError>()
  const closed = yield* Deferred.make<void>()
  const fail = (reason: ControlError["reason"], message: string) =>
    Queue.failCauseUnsafe(replies, Cause.fail(new ControlError({ reason, message })))
  const socket = yield* Effect.acquireRelease(
    Effect.sync(() => net.connect(address.socket)),
    (socket) => Effect.sync(() => socket.destroy())
  )
  let text = ""
  let isAnswered = false
  socket.setEncoding("utf8")
    .on("connect", () => socket.write(`${JSON.stringify(request)}\n`))
    .on("data", (chunk: string) => {
      const lines = (text + chunk).split("\n")
      text = lines.pop()!
      for (const line of lines) {
        const reply = decodeReply(line)
        isAnswered = true
        if (reply === null) fail("Unreadable", unreadable(address))
        else if (reply.reply === "refused") fail("Refused", `the recorder refuses it: ${reply.why}`)
        else Queue.offerUnsafe(replies, reply)
      }
    })
    .on("error", ({ code, message }: NodeJS.ErrnoException) => {
      if (code === "EACCES" || code === "EPERM") {
        fail("NotAllowed", `it is another user's; ask as the user of process ${address.pid}`)
      } else if (code === "EAGAIN") fail("Mute", mute(address, false))
      else if (code === "ENOENT" || code === "ECONNREFUSED") fail("Gone", `nobody listens at ${address.socket}`)
      else fail("Busy", `its connection broke: ${message}; try again`)
    })
    .on("close", () => {
      if (isAnswered) fail("Gone", `process ${address.pid} ended without a word; look with \`sampleline status\``)
      else fail("Busy", "it is busy with others who ask; try again")
      Deferred.doneUnsafe(closed, Effect.void)
    })
  const later: Replies["later"] = (kind) =>
    Effect.filterOrFail(
      Queue.take(replies),
      (reply): reply is ReplyOf<typeof kind> => reply.reply === kind,
      () => new ControlError({ reason: "Unreadable", message: unreadable(address) })
    )
  return {
    later,
    next: (kind) =>
      Effect.timeoutOrElse(later(kind), {
        duration: PATIENCE,
        orElse: () =>
          Effect.fail(new ControlError({ reason: "Mute", message: mute(address, request.ask !== "status") }))
      }),
    closed: Deferred.await(closed)
  }
})

/** Where it was sent something to do, it does that later. */
const mute = ({ pid }: Address, isSent: boolean): string =>
  `process ${pid} records it, but does not reply; if it is suspended by Ctrl-Z, ${
    isSent
      ? `\`kill -CONT ${pid}\` lets it go on, and what was asked is done then`
      : `run \`kill -CONT ${pid}\` and ask again`
  }`

const unreadable = ({ pid }: Address): string =>
  `process ${pid} does not speak version ${VERSION}; use the version of sampleline that records it`

const decodeReply = (line: string): Reply | null => {
  try {
    return Schema.decodeSync(Schema.fromJsonString(Reply))(line)
  } catch {
    return null
  }
}
