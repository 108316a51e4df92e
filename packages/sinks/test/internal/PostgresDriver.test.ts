import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as net from "node:net"
import { PostgresSink } from "../../src/PostgresSink.ts"
import { writeTo } from "../writing.ts"

it.live("gives up on a server that never answers after connectTimeout", () =>
  Effect.gen(function*() {
    const port = yield* Effect.acquireRelease(
      Effect.callback<net.Server>((resume) => {
        const server = net.createServer(() => {})
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    ).pipe(Effect.map((server) => (server.address() as net.AddressInfo).port))
    const error = yield* Effect.flip(
      writeTo(PostgresSink.layer({ host: "127.0.0.1", port, user: "x", connectTimeout: "200 millis" }))
    )
    assert.strictEqual(`${error._tag} ${"reason" in error ? error.reason : ""}`, "SinkOpenError Timeout")
  }))
