/**
 * The table `sampleline_positions`: how much of each journal is in each table of a database. A position changes in the transaction of
 * the rows, so both are there or neither.
 *
 * The methods throw the driver's errors. All but `open` are called in a transaction.
 */
import { runTransaction, type SqliteDatabase } from "@sampleline/sqlite"

const TABLE = "sampleline_positions"

export class SqlitePositions {
  private readonly database: SqliteDatabase.SqliteDatabase
  private readonly table: string
  private journal = ""
  private through = 0
  private update: SqliteDatabase.SqliteStatement | undefined

  /** `table` is the table of the rows. */
  constructor(database: SqliteDatabase.SqliteDatabase, table: string) {
    this.database = database
    this.table = table
  }

  /** How much of a journal the table has. `kept` is what the journal knows of it, or null. */
  open(journal: string, kept: number | null): number {
    return runTransaction(this.database, () => {
      this.database.exec(
        `CREATE TABLE IF NOT EXISTS ${TABLE} (`
          + "journal TEXT NOT NULL, output TEXT NOT NULL, through INTEGER NOT NULL, PRIMARY KEY (journal, output))"
      )
      const [row] = this.database.prepare(`SELECT through FROM ${TABLE} WHERE journal = ? AND output = ?`).all([
        journal,
        this.table
      ])
      if (row === undefined && kept !== null) {
        throw new Error(
          `${TABLE} does not know of this journal: the run is complete already, its table was overwritten, or this is another database; `
            + "nothing was changed"
        )
      }
      if (row === undefined) {
        this.database.prepare(`INSERT INTO ${TABLE} VALUES (?, ?, 0)`).run([journal, this.table])
      }
      this.journal = journal
      this.update = undefined
      this.through = Number(row?.["through"] ?? 0)
      return this.through
    })
  }

  /** Throws if another recorder has moved the position. */
  advance(through: number): void {
    this.update ??= this.database.prepare(
      `UPDATE ${TABLE} SET through = ? WHERE journal = ? AND output = ? AND through = ? RETURNING 1`
    )
    const changed = this.update.all([through, this.journal, this.table, this.through])
    if (changed.length === 0) {
      throw new Error("its table was overwritten, or another recorder has written rows of this journal")
    }
  }

  /** Called when the transaction is committed. */
  advanced(through: number): void {
    this.through = through
  }

  /** For a table that is made: rows of other journals went with the one before. */
  forgetOthers(): void {
    if (this.database.columnsOf(TABLE).length === 0) return
    this.database.prepare(`DELETE FROM ${TABLE} WHERE output = ? AND journal <> ? AND through > 0`).run([
      this.table,
      this.journal
    ])
  }

  forget(): void {
    this.database.prepare(`DELETE FROM ${TABLE} WHERE journal = ? AND output = ?`).run([this.journal, this.table])
  }
}
