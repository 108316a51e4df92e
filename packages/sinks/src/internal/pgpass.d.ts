declare module "pgpass" {
  /** Gives the password for a connection from the user's password file; undefined if there is none. */
  export default function pgpass(
    connection: {
      readonly host: string
      readonly port: number
      readonly database: string
      readonly user: string
    },
    use: (password: string | undefined) => void
  ): void
}
