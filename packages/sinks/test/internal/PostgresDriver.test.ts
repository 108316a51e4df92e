import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Redacted, Scope } from "effect"
import * as fs from "node:fs"
import * as net from "node:net"
import { PostgresSink } from "../../src/PostgresSink.ts"
import { environment } from "../environment.ts"
import { pooler } from "../pooler.ts"
import { PostgresServer, prepared, waitFor } from "../postgres.ts"
import { samplesFrom } from "../samples.ts"
import { tempFile } from "../tempFile.ts"
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

/** A proxy that cuts its connections when it is told to, and from then on takes new ones and says nothing. */
const silentOnceTold = Effect.fnUntraced(function*(server: { readonly host: string; readonly port: number }) {
  const clients = new Set<net.Socket>()
  let isSilent = false
  const cut = () => {
    for (const client of clients) client.destroy()
  }
  const proxy = yield* Effect.acquireRelease(
    Effect.callback<net.Server>((resume) => {
      const proxy = net.createServer((client) => {
        clients.add(client)
        client.on("close", () => clients.delete(client))
        client.on("error", () => client.destroy())
        if (isSilent) return client.resume()
        const upstream = net.connect(server.port, server.host)
        upstream.on("error", () => client.destroy())
        client.on("close", () => upstream.destroy())
        client.pipe(upstream)
        upstream.pipe(client)
      })
      proxy.listen(0, "127.0.0.1", () => resume(Effect.succeed(proxy)))
    }),
    (proxy) =>
      Effect.sync(() => {
        proxy.close()
        cut()
      })
  )
  return {
    port: (proxy.address() as net.AddressInfo).port,
    connections: () => clients.size,
    silence: () => {
      isSilent = true
      cut()
    }
  }
})

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

    // The pool of @effect/sql-pg goes on connecting.
    it.effect.runIf(useCopy)(
      "is interrupted and closed at once while it connects to a server that does not answer",
      () =>
        Effect.gen(function*() {
          const { options } = yield* prepared("CREATE TABLE samples (device text, \"Mass_Flow\" real)")
          const { connections, port, silence } = yield* silentOnceTold(options)
          const scope = yield* Scope.make()
          const sink = yield* PostgresSink.make({ ...options, port, useCopy }).pipe(Scope.provide(scope))
          yield* sink.write(nonEmpty(samplesFrom(0, 1)))
          silence()
          yield* waitFor(Effect.sync(() => connections() === 0))
          // The pool may not have heard yet that its connection is gone.
          const writing = yield* Effect.forkChild(Effect.eventually(sink.write(nonEmpty(samplesFrom(1, 1)))))
          yield* waitFor(Effect.sync(() => connections() > 0))
          const ended = Fiber.interrupt(writing).pipe(
            Effect.andThen(Scope.close(scope, Exit.void)),
            Effect.andThen(waitFor(Effect.sync(() => connections() === 0)))
          )
          assert.strictEqual((yield* Effect.timeoutOption(ended, "5 seconds"))._tag, "Some")
        })
    )

    it.effect("records through a pooler that knows few startup parameters", () =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared()
        const port = yield* pooler(options)
        yield* writeTo(PostgresSink.layer({ ...options, port, useCopy, createTable: true }), samplesFrom(0, 3))
        assert.deepStrictEqual(yield* rows("SELECT count(*)::int AS n FROM samples"), [{ n: 3 }])
      }))

    it.effect.each(["url", "environment"] as const)(
      "says what to do if the pooler refuses the options, which come from the %s",
      (by) =>
        Effect.gen(function*() {
          const { options } = yield* prepared()
          const port = yield* pooler(options)
          yield* environment(by === "environment" ? { PGOPTIONS: "-c search_path=lab" } : {})
          const query = by === "url" ? "?options=-c%20search_path%3Dlab" : ""
          const url = Redacted.make(`postgres://owner:x@127.0.0.1:${port}/postgres${query}`)
          const error = yield* Effect.flip(writeTo(PostgresSink.layer({ url, useCopy })))
          assert.include(
            error.message,
            "unsupported startup parameter: options; leave it out of the URL, the service file and PGOPTIONS, or let the pooler "
              + "ignore it (ignore_startup_parameters)"
          )
        })
    )

    it.effect("gives the session the application's name and the options of the address", () =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared(
          "CREATE SCHEMA IF NOT EXISTS lab",
          "CREATE TABLE samples (\"Mass_Flow\" real, seen text DEFAULT current_setting('application_name') || ' ' "
            + "|| current_setting('search_path') || ' ' || current_setting('statement_timeout'))"
        )
        const password = encodeURIComponent(Redacted.value(options.password))
        const url = Redacted.make(
          `postgres://owner:${password}@127.0.0.1:${options.port}/postgres?application_name=oven&options=-c%20search_path%3Dlab`
        )
        yield* writeTo(PostgresSink.layer({ url, useCopy }), samplesFrom(0, 1))
        assert.deepStrictEqual(yield* rows("SELECT seen FROM samples"), [{ seen: "oven lab 30s" }])
      }))

    it.effect("connects with the password of the password file if PGPASSWORD is empty", () =>
      Effect.gen(function*() {
        const { options, rows } = yield* prepared()
        const path = yield* tempFile("passwords")
        const password = Redacted.value(options.password).replaceAll(/[\\:]/g, "\\$&")
        fs.writeFileSync(path, `127.0.0.1:${options.port}:postgres:owner:${password}\n`, { mode: 0o600 })
        yield* environment({ PGPASSWORD: "", PGPASSFILE: path })
        const url = Redacted.make(`postgres://owner@127.0.0.1:${options.port}/postgres`)
        yield* writeTo(PostgresSink.layer({ url, useCopy, createTable: true }), samplesFrom(0, 2))
        assert.deepStrictEqual(yield* rows("SELECT count(*)::int AS n FROM samples"), [{ n: 2 }])
      }))

    it.effect.each(["url", "parameter", "environment"] as const)(
      "connects through a Unix socket by %s",
      (by) =>
        Effect.gen(function*() {
          const { options, rows } = yield* prepared()
          const { socketFolder } = yield* PostgresServer
          const folder = encodeURIComponent(socketFolder)
          const { port } = options
          yield* environment({
            PGPASSWORD: Redacted.value(options.password),
            ...by === "environment"
              ? { PGHOST: socketFolder, PGPORT: String(port), PGUSER: "owner", PGDATABASE: "postgres" }
              : {}
          })
          const urls = {
            url: `postgres://owner@${folder}:${port}/postgres`,
            parameter: `postgres://owner@/postgres?host=${folder}&port=${port}`,
            environment: "postgres://"
          }
          yield* writeTo(
            PostgresSink.layer({ url: Redacted.make(urls[by]), useCopy, createTable: true }),
            samplesFrom(0, 2)
          )
          assert.deepStrictEqual(yield* rows("SELECT count(*)::int AS n FROM samples"), [{ n: 2 }])
        })
    )
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
