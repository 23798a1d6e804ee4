import { join } from 'node:path'
import type { Logger } from 'pino'
import type { Config } from '../config/config.js'
import { home } from '../home.js'
import { watchFiles } from '../runtime/watch-files.js'
import type { UserDirectory } from '../users/directory.js'
import { createGitlabUsers } from '../users/gitlab-users.js'
import { createHashedNames, type HashedNames } from '../users/hashed-names.js'
import { createIdentify, createIdentifyName } from '../users/identify.js'
import { readInThread } from '../users/read-in-thread.js'
import { openUserFile } from '../users/user-file.js'
import { createUserTokenVerifier } from '../users/user-token.js'
import type { Core } from './core.js'

/** How actors become users. */
export type Identification = {
  /** The directory in which an id is the hash of a name, by the users key. */
  hashed: HashedNames
  /** The directory that the configuration chooses. */
  directory: UserDirectory
  identify: ReturnType<typeof createIdentify>
  identifyName: ReturnType<typeof createIdentifyName>
}

/** Opens the directory of users. The caller closes it. @throws if the users file cannot be read */
export const openIdentification = async (core: Core, log: Logger): Promise<Identification> => {
  const hashed = createHashedNames(core.secrets.usersKey)
  const directory = await openDirectory(core, hashed, log)
  const hasUserTokens = core.config.user_token_key !== undefined
  const identifyName = createIdentifyName({ directory, deployTokens: hashed, hasUserTokens })
  return { hashed, directory, identifyName, identify: createIdentify({ identifyName, ...tokenVerifier(core.config) }) }
}

/** The built source of the thread that reads the users file. */
const USER_FILE_THREAD = join(home, 'dist', 'users', 'user-file-thread.js')

const openDirectory = async ({ config, now }: Core, hashed: UserDirectory, log: Logger): Promise<UserDirectory> => {
  if (config.user_directory === 'file') {
    return openUserFile(config.users_file ?? '', {
      read: async (file, signal) => readInThread(USER_FILE_THREAD, file, signal),
      watchFiles,
      onProblem: (error) => {
        log.warn({ reason: error.message }, 'the users file cannot be read again; the previous ids stay in use')
      },
    })
  }
  if (config.user_directory === 'gitlab') {
    return createGitlabUsers({ url: config.gitlab_url ?? '', token: config.gitlab_token ?? '', now })
  }
  return hashed
}

const tokenVerifier = ({ user_token_key }: Config): Pick<Parameters<typeof createIdentify>[0], 'verifyUserToken'> =>
  user_token_key === undefined ? {} : { verifyUserToken: createUserTokenVerifier(user_token_key) }
