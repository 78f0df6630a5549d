/**
 * A validator by the Standard Schema specification, version 1 (https://standardschema.dev): what Effect Schema, Zod, Valibot
 * and others make. Only what is used of it here.
 */
export interface StandardSchema<Output = unknown> {
  readonly "~standard": {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
  }
}

export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: ReadonlyArray<SchemaIssue> }

export interface SchemaIssue {
  readonly message: string
  readonly path?: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined
}

const pathOf = ({ path }: SchemaIssue): string =>
  (path ?? []).map((part) => String(typeof part === "object" ? part.key : part)).join(".")

/** What is wrong, for people: `items.0.name: must be a string; …` */
export const issuesText = (issues: ReadonlyArray<SchemaIssue>): string =>
  issues
    .map((issue) => {
      const path = pathOf(issue)
      return path === "" ? issue.message : `${path}: ${issue.message}`
    })
    .join("; ")
