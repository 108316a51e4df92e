import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import * as net from "node:net"
import { PostgresSink } from "../../src/PostgresSink.ts"
import { PostgresServer, prepared } from "../postgres.ts"
import { samplesFrom } from "../samples.ts"
import { nonEmpty, writeTo } from "../writing.ts"

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

it.layer(PostgresServer.layer, { excludeTestServices: true, timeout: "60 seconds" })("with a server", (it) => {
  describe.each([{ useCopy: true }, { useCopy: false }])("with %o", ({ useCopy }) => {
    it.effect("gives up on a server that stops answering after commandTimeout, and closes within closeTimeout", () =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared("CREATE TABLE samples (device text, \"Mass_Flow\" real)")
        const scope = yield* Scope.make()
        const sink = yield* PostgresSink.make({
          ...options,
          useCopy,
          commandTimeout: "300 millis",
          closeTimeout: "300 millis"
        })
          .pipe(Scope.provide(scope))
        yield* sink.write(nonEmpty(samplesFrom(0, 1)))
        const backends = yield* rows("SELECT pid FROM pg_stat_activity WHERE application_name = 'sampleline'")
        assert.isAbove(backends.length, 0)
        for (const { pid } of backends) process.kill(pid, "SIGSTOP")
        const error = yield* Effect.flip(sink.write(nonEmpty(samplesFrom(1, 1))))
        assert.strictEqual(error._tag === "SinkWriteError" ? error.reason : "", "Timeout")
        const closed = yield* Scope.close(scope, Exit.void).pipe(Effect.timeoutOption("5 seconds"))
        for (const { pid } of backends) process.kill(pid, "SIGCONT")
        assert.strictEqual(closed._tag, "Some")
      }))
  })

  it.effect("closes a frozen server's idle connections within closeTimeout", () =>
    Effect.gen(function*() {
      const { options, rows } = yield* prepared("CREATE TABLE samples (device text, \"Mass_Flow\" real)")
      const scope = yield* Scope.make()
      const sink = yield* Scope.provide(PostgresSink.make({ ...options, closeTimeout: "300 millis" }), scope)
      yield* sink.write(nonEmpty(samplesFrom(0, 1)))
      const backends = yield* rows("SELECT pid FROM pg_stat_activity WHERE application_name = 'sampleline'")
      for (const { pid } of backends) process.kill(pid, "SIGSTOP")
      const closed = yield* Scope.close(scope, Exit.void).pipe(Effect.timeoutOption("5 seconds"))
      for (const { pid } of backends) process.kill(pid, "SIGCONT")
      assert.strictEqual(closed._tag, "Some")
    }))
})
