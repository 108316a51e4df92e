/**
 * Tests of what a sink leaves behind on a full disk. The disk is a small tmpfs where user namespaces are allowed; everywhere there
 * is a limit on the size of files.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync, spawnSync } from "node:child_process"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { tempFile } from "./tempFile.ts"

const fillDisk = fileURLToPath(new URL("fillDisk.ts", import.meta.url))

export const canMountDisk = spawnSync("unshare", ["-rm", "true"]).status === 0

/** Runs a program on a disk of 400 KiB. The files that it leaves are copied out before the disk is gone. */
export const onSmallDisk = (program: string, args: ReadonlyArray<string>, file: string) =>
  execFileSync("unshare", [
    "-rm",
    "sh",
    "-c",
    "folder=$1; file=$2; shift 2; mkdir $folder/disk && mount -t tmpfs -o size=400k tmpfs $folder/disk "
    + "&& \"$@\" $folder/disk/$file; cp $folder/disk/* $folder",
    "sh",
    path.dirname(file),
    path.basename(file),
    process.execPath,
    program,
    ...args
  ]).toString()

/** Runs a program that cannot make files of more than 400 blocks. */
const withSmallFiles = (program: string, args: ReadonlyArray<string>, file: string) =>
  execFileSync("sh", [
    "-c",
    "trap '' XFSZ; ulimit -f 400; exec \"$@\"",
    "sh",
    process.execPath,
    program,
    ...args,
    file
  ]).toString()

const METHODS = [
  { disk: "a full disk", run: onSmallDisk, isPossible: canMountDisk },
  { disk: "a limit on the file's size", run: withSmallFiles, isPossible: process.platform !== "win32" }
]

/** Registers the tests of a sink. `count` counts the rows in its file, and fails if the file is damaged. */
export const testFullDisk = (sink: string, name: string, count: (file: string) => Effect.Effect<number>) =>
  describe.each(METHODS)("on $disk", ({ isPossible, run }) => {
    it.live.runIf(isPossible)("fails with DiskFull, and what was accepted is complete", () =>
      Effect.gen(function*() {
        const file = yield* tempFile(name)
        const { accepted, error } = JSON.parse(run(fillDisk, [sink], file).split("\n").at(-1)!)
        assert.strictEqual(error, "SinkWriteError DiskFull")
        assert.isAbove(accepted, 0)
        assert.strictEqual(yield* count(file), accepted)
      }))
  })
