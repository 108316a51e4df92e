import { assert, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as fs from "node:fs"
import { passwordInFile } from "../../src/internal/PostgresPasswordFile.ts"
import { environment } from "../environment.ts"
import { tempFile } from "../tempFile.ts"
import { logged } from "../writing.ts"

const server = { host: "db.lab", port: 5432, database: "flows", user: "me" }

const fileOf = Effect.fnUntraced(function*(text: string, mode = 0o600) {
  const path = yield* tempFile("passwords")
  fs.writeFileSync(path, text, { mode })
  fs.chmodSync(path, mode)
  yield* environment({ PGPASSFILE: path })
  return path
})

it.effect.each(
  [
    ["db.lab:5432:flows:me:x", "x"],
    ["*:*:*:*:x", "x"],
    ["*:*:*:*:a:b\\:c\\\\d\\e", "a:b:c\\de"],
    ["# db.lab:5432:flows:me:no\r\n\r\nother:5432:flows:me:no\r\ndb.lab:*:flows:*:x \r\n*:*:*:*:late", "x "],
    ["db\\.lab:5432:f\\lows:me:x", "x"],
    ["*:5433:*:*:no", undefined],
    ["\\*:*:*:*:no", undefined],
    ["db.lab:5432:flows:no", undefined],
    ["", undefined]
  ] as const
)("finds in %j the password %j", ([text, password]) =>
  Effect.gen(function*() {
    yield* fileOf(text)
    assert.strictEqual(yield* passwordInFile(server), password)
  }))

const field = Schema.NonEmptyString.check(
  Schema.makeFilter((text: string) => text.isWellFormed() && !/[\r\n]/.test(text))
)

it.effect.prop(
  "finds any password under any names",
  { host: field, database: field, user: field, password: field },
  ({ database, host, password, user }) =>
    Effect.gen(function*() {
      const line = [host, "*", database, user, password].map((text) =>
        text === "*" ? text : text.replaceAll(/[\\:*#]/g, "\\$&")
      )
      yield* fileOf(`#\n${line.join(":")}\n`)
      assert.strictEqual(yield* passwordInFile({ host, port: 1, database, user }), password)
    }).pipe(Effect.scoped)
)

it.effect("is read if PGPASSWORD is empty", () =>
  Effect.gen(function*() {
    yield* fileOf("*:*:*:*:x\n")
    process.env["PGPASSWORD"] = ""
    assert.strictEqual(yield* passwordInFile(server), "x")
  }))

it.effect("is not read if others may read it, and a warning says how to change that", () =>
  Effect.gen(function*() {
    const path = yield* fileOf("*:*:*:*:x\n", 0o640)
    const lines = yield* logged(Effect.map(passwordInFile(server), (password) => assert.isUndefined(password)))
    assert.deepStrictEqual(lines, [
      `Warn the password file ${path} is not read, because others may read it too: run chmod 600 ${path}`
    ])
  }))

it.effect("is not read if it is no plain file, or is not there", () =>
  Effect.gen(function*() {
    const path = yield* tempFile("passwords")
    yield* environment({ PGPASSFILE: path })
    const lines = yield* logged(Effect.map(passwordInFile(server), (password) => assert.isUndefined(password)))
    assert.deepStrictEqual(lines, [])
    fs.mkdirSync(path)
    assert.deepStrictEqual(yield* logged(passwordInFile(server)), [
      `Warn the password file ${path} is not read, because it is not a plain file`
    ])
  }))
