import { BaseSequencer, type TestSpecification } from "vitest/node"

/**
 * Files that take ten seconds and more, the longest first. A fresh clone has no durations of earlier runs, and vitest goes by
 * the size of a file there, which says nothing of these: one that comes last keeps all the other workers idle.
 */
const longest = [
  ...["cluster/chaos", "cluster/rollingRestart", "cluster/cut", "cluster/serving", "cluster/watch"],
  ...["cluster/clusterCommand", "cluster/failover", "cluster/frozenOwner", "cluster/link"],
  ...["system/cascade", "system/installed", "system/sdk", "system/treeEventsFaults", "system/package"],
  ...["system/postgresGone", "system/malformed", "system/publisherKills", "system/runOutage", "system/tour"],
  ...["bench/load", "main/main", "transports/publishing", "storage/Pglite", "project/install"]
].map((name) => `test/${name}.test.ts`)

const rank = ({ moduleId }: TestSpecification): number => {
  const found = longest.findIndex((path) => moduleId.endsWith(path))
  return found === -1 ? longest.length : found
}

/** As vitest orders them, by groups and projects, and within a project those that are known to be long before the others. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const sorted = await super.sort(files)
    const byProject = Map.groupBy(sorted, ({ project }) => project)
    return [...byProject.values()].flatMap((specs) => specs.toSorted((a, b) => rank(a) - rank(b)))
  }
}
