import { describe, expect, test } from '@jest/globals'
import { RegistryError } from '../../../src/registries/client/exchange.js'
import { tokenRealm } from '../../../src/registries/client/token-realm.js'

const realmOf = (url: string, realm: string, tokenHost?: string): string => {
  try {
    return tokenRealm(realm, { name: 'registry.example', url: new URL(url), tokenHost }).href
  } catch (error) {
    expect(error).toBeInstanceOf(RegistryError)
    return `refused: ${(error as Error).message}`
  }
}

describe('a registry sends for a token', () => {
  test.each([
    ['to itself', 'https://harbor.example', 'https://harbor.example/service/token'],
    ['to another port of its host', 'https://gitlab.example:5050', 'https://gitlab.example/jwt/auth'],
    ['to the domain above', 'https://registry.gitlab.example', 'https://gitlab.example/jwt/auth'],
    ['to a name below', 'https://registry.example:5000', 'https://auth.registry.example/token'],
    ['without TLS to its own host, asked without TLS', 'http://10.0.0.5:5000', 'http://10.0.0.5:5001/token'],
    ['on loopback to its own port', 'http://127.0.0.1:5000', 'http://127.0.0.1:5000/token'],
    ['as Docker Hub', 'https://registry-1.docker.io', 'https://auth.docker.io/token'],
    ['as Docker Hub by another name', 'https://index.docker.io', 'https://auth.docker.io/token'],
    ['as GHCR', 'https://ghcr.io', 'https://ghcr.io/token'],
    ['as GitLab.com', 'https://registry.gitlab.com', 'https://gitlab.com/jwt/auth'],
    ['as Quay', 'https://quay.io', 'https://quay.io/v2/auth'],
    ['as public ECR', 'https://public.ecr.aws', 'https://public.ecr.aws/token/'],
    ['as ACR', 'https://name.azurecr.io', 'https://name.azurecr.io/oauth2/token'],
    ['as Artifact Registry', 'https://europe-docker.pkg.dev', 'https://europe-docker.pkg.dev/v2/token'],
    ['as DigitalOcean', 'https://registry.digitalocean.com', 'https://api.digitalocean.com/v2/registry/auth'],
  ])('%s', (_, url, realm) => {
    expect(realmOf(url, realm)).toBe(realm)
  })

  test.each([
    ['a stranger', 'https://registry.example', 'https://stranger.example/token'],
    ['a name that only ends alike', 'https://registry.example', 'https://evilregistry.example/token'],
    ['its neighbour below one domain', 'https://registry.corp.example', 'https://gitlab.corp.example/jwt/auth'],
    ['a domain of one label', 'https://registry.example', 'https://example/token'],
    ['a domain of one label with a dot at its end', 'https://registry.example.', 'https://example./token'],
    ['Docker Hub, of which it is no part', 'https://registry.example', 'https://auth.docker.io/token'],
    ['the token server of Docker Hub at another port', 'https://index.docker.io', 'https://auth.docker.io:8443/token'],
    ['an address inside', 'https://registry.example', 'https://169.254.169.254/token'],
    ['an address that ends alike', 'https://10.0.0.5', 'https://0.0.0.5/token'],
    ['an IPv6 address', 'https://[2001:db8::5]', 'https://[::5]/token'],
    ['another port on loopback', 'http://127.0.0.1:18200', 'http://127.0.0.1:18201/token'],
    ['another name of loopback', 'http://127.0.0.1:18200', 'https://localhost:18202/token'],
    ['a name with credentials in it', 'https://a.example', 'https://a.example@stranger.example/token'],
    ['its own host without TLS', 'https://registry.example', 'http://registry.example/token'],
    ['the domain above without TLS', 'http://registry.gitlab.example', 'http://gitlab.example/jwt/auth'],
    ['a file', 'https://registry.example', 'file:///etc/passwd'],
    ['nothing', 'https://registry.example', ''],
  ])('not to %s', (_, url, realm) => {
    expect(realmOf(url, realm)).toMatch(/^refused: /)
  })

  test('to the host that the operator names, and to no other port of it', () => {
    const realm = 'https://gitlab.corp.example/jwt/auth'
    const url = 'https://registry.corp.example'
    expect(realmOf(url, realm, 'gitlab.corp.example')).toBe(realm)
    expect(realmOf(url, realm, 'gitlab.corp.example:443')).toBe(realm)
    expect(realmOf(url, realm, 'gitlab.corp.example:8443')).toMatch(/^refused: /)
    expect(realmOf(url, 'https://gitlab.corp.example:8443/jwt/auth', 'gitlab.corp.example')).toMatch(/^refused: /)
    expect(realmOf('http://127.0.0.1:5000', 'http://127.0.0.1:5001/token', '127.0.0.1:5001')).toMatch(/^http:/)
    expect(realmOf('http://registry.corp.example', 'http://gitlab.corp.example/', 'gitlab.corp.example')).toMatch(
      /^refused: .* is not https$/,
    )
  })

  test('to another site: the message has the host, and the line that the configuration lacks', () => {
    expect(realmOf('https://registry.corp.example:5000', 'https://gitlab.corp.example:8443/jwt/auth?x=secret')).toBe(
      'refused: registry.corp.example:5000 refers to a token server at gitlab.corp.example:8443, another site, which gets no ' +
        'credentials. If that is its token server, add to the configuration: ' +
        'registries: { "registry.example": { token_host: "gitlab.corp.example:8443" } }',
    )
  })
})
