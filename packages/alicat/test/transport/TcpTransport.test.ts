import { assert, describe, it } from "@effect/vitest"

import { Effect } from "effect"
import * as net from "node:net"
import * as Simulator from "../../src/simulator/Simulator.ts"
import { openError } from "../ports.ts"

describe("a TCP port cannot be opened", () => {
  it.live("where nothing listens, or no device answers", () =>
    Effect.gen(function*() {
      const [fuel] = yield* Effect.scoped(Simulator.make({ tcp: 0 }))
      const gone = yield* openError({ fuel: fuel! })
      assert.deepInclude(gone, { reason: "NotFound" })
      assert.include(gone.message, "nothing listens there")
      const [air] = yield* Simulator.make({ tcp: 0 })
      const silent = yield* openError({ air: { port: air!.port, unit: "Q" } }, "100 millis")
      assert.include(silent.message, "air (unit Q) did not answer; check its power")
    }))

  it.live("whose server closes the connection at once, because another program may be connected", () =>
    Effect.gen(function*() {
      for (const close of ["end", "destroy", "resetAndDestroy"] as const) {
        const server = yield* Effect.acquireRelease(
          Effect.callback<net.Server>((resume) => {
            const server = net.createServer((socket) => socket.on("error", () => {})[close]())
            server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
          }),
          (server) => Effect.sync(() => server.close())
        )
        const { port } = server.address() as net.AddressInfo
        const error = yield* openError({ fuel: { port: `tcp://127.0.0.1:${port}` } })
        assert.include(error.message, "closed the connection at once; another program may be connected")
      }
    }))
})
