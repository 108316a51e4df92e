import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as nodePath from "node:path"
import { asNobody } from "../../core/test/asNobody.ts"
import { OwnerLock } from "../src/index.ts"
import { killChild, startChild } from "./child.ts"
import { tempFile } from "./tempFile.ts"

const MODULE = JSON.stringify(import.meta.resolve("../src/OwnerLock.ts"))

/** One owns the lock until it is killed; the other tries to, and prints what it gets. */
const owning = (path: string) => `
  import { acquire } from ${MODULE}
  import { Effect } from "effect"
  await Effect.runPromise(Effect.scoped(Effect.andThen(
    acquire(${JSON.stringify(path)}),
    Effect.andThen(Effect.sync(() => console.log("owned")), Effect.sleep(60_000))
  )))
`
const trying = (path: string) => `
  import { acquire } from ${MODULE}
  import { Effect } from "effect"
  const tried = Effect.scoped(acquire(${JSON.stringify(path)})).pipe(
    Effect.match({ onSuccess: () => "owned", onFailure: (error) => error._tag + ": " + error.message })
  )
  console.log(await Effect.runPromise(tried))
`
const tryElsewhere = (path: string) =>
  Effect.sync(() => spawnSync(process.execPath, ["--input-type=module", "-e", trying(path)]).stdout.toString().trim())

describe("OwnerLock", () => {
  it.live("refuses a second process at once, and names the lock and its owner", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.lock")
      yield* OwnerLock.acquire(path)
      const tried = yield* tryElsewhere(path)
      assert.match(
        tried,
        new RegExp(`^OwnedError: ${path} is locked by process ${process.pid} on .+: end that process`)
      )
    }))

  it.live("refuses a second owner in the same process, and still holds afterwards", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.lock")
      yield* OwnerLock.acquire(path)
      const error = yield* Effect.flip(Effect.scoped(OwnerLock.acquire(path)))
      assert.strictEqual(error._tag, "OwnedError")
      assert.match(yield* tryElsewhere(path), /^OwnedError/)
    }))

  it.live("is free after the scope has closed", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.lock")
      const scope = yield* Scope.make()
      yield* Scope.provide(OwnerLock.acquire(path), scope)
      yield* Scope.close(scope, Exit.void)
      assert.isFalse(fs.existsSync(`${path}.owner`))
      assert.strictEqual(yield* tryElsewhere(path), "owned")
      yield* OwnerLock.acquire(path)
    }))

  it.live("is free after its owner was killed", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.lock")
      const child = yield* startChild(owning(path))
      const error = yield* Effect.flip(Effect.scoped(OwnerLock.acquire(path)))
      assert.include(error.message, `process ${child.pid} on `)
      yield* killChild(child)
      assert.isTrue(fs.existsSync(`${path}.owner`))
      yield* OwnerLock.acquire(path)
      assert.match(yield* tryElsewhere(path), new RegExp(`process ${process.pid} on`))
    }))

  it.live("is looked at without being taken: the next owner gets it meanwhile", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.lock")
      yield* OwnerLock.check(path)
      assert.isFalse(fs.existsSync(path))
      const child = yield* startChild(owning(path))
      const error = yield* Effect.flip(OwnerLock.check(path))
      assert.strictEqual(error._tag, "OwnedError")
      assert.include(error.message, `process ${child.pid} on `)
      yield* killChild(child)
      yield* OwnerLock.check(path)
      assert.strictEqual(yield* tryElsewhere(path), "owned")
    }))

  it.live("does not name an owner that is no longer running", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("run.lock")
      yield* OwnerLock.acquire(path)
      const child = yield* startChild("console.log('here'); setTimeout(() => {}, 60_000)")
      yield* killChild(child)
      const owner = JSON.parse(fs.readFileSync(`${path}.owner`, "utf8"))
      for (const content of [JSON.stringify({ ...owner, pid: child.pid }), "{", "[]"]) {
        fs.writeFileSync(`${path}.owner`, content)
        const error = yield* Effect.flip(Effect.scoped(OwnerLock.acquire(path)))
        assert.include(error.message, `${path} is locked by another process: end that process`)
      }
    }))

  it.live("is taken and freed in a folder that can no longer be written to, and then names no owner", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("own/run.lock")
      const folder = nodePath.dirname(path)
      fs.chmodSync(nodePath.dirname(folder), 0o777)
      yield* asNobody(Effect.gen(function*() {
        fs.mkdirSync(folder)
        const taking = Effect.scoped(
          Effect.andThen(OwnerLock.acquire(path), Effect.sync(() => fs.chmodSync(folder, 0o555)))
        )
        yield* taking
        fs.chmodSync(`${path}.owner`, 0o444)
        yield* taking
        yield* OwnerLock.check(path)
      }))
      fs.chmodSync(folder, 0o755)
    }))

  it.live("fails with SQLite's code if its folder is missing", () =>
    Effect.gen(function*() {
      const path = yield* tempFile("nowhere/run.lock")
      const error = yield* Effect.flip(Effect.scoped(OwnerLock.acquire(path)))
      assert.strictEqual(error._tag === "SqliteFailure" ? error.primaryCode : error.message, 14)
    }))
})
