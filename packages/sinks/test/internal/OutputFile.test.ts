import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import { checkParents, isAt, isBrokenLink, makeParents } from "../../src/internal/OutputFile.ts"
import { tempFile } from "../tempFile.ts"

it.effect("makes missing folders, and checks them without making them", () =>
  Effect.gen(function*() {
    const path = yield* tempFile("a/b/run.csv")
    checkParents(path)
    assert.isFalse(fs.existsSync(path.replace("/b/run.csv", "")))
    makeParents(path)
    assert.isTrue(fs.statSync(path.replace("/run.csv", "")).isDirectory())
    fs.writeFileSync(path, "")
    assert.throws(() => checkParents(`${path}/run.csv`), "not a folder")
    assert.throws(() => makeParents("/proc/nothing/run.csv"))
  }))

it.effect("knows whether an open file still has its name, and a broken link", () =>
  Effect.gen(function*() {
    const path = yield* tempFile("run.csv")
    const fd = fs.openSync(path, "w")
    assert.isTrue(isAt(path, fd))
    fs.renameSync(path, `${path}.moved`)
    assert.isFalse(isAt(path, fd))
    fs.writeFileSync(path, "another file")
    assert.isFalse(isAt(path, fd))
    fs.closeSync(fd)
    fs.symlinkSync(path, `${path}.link`)
    assert.isFalse(isBrokenLink(`${path}.link`))
    fs.rmSync(path)
    assert.isTrue(isBrokenLink(`${path}.link`))
    assert.isFalse(isBrokenLink(path))
  }))
