SERVER=${PULSEBOARD_SERVER:-127.0.0.1:7443}
TOKEN=$(grpcurl -plaintext -d "{\"login\":\"admin\",\"password\":\"$PULSEBOARD_PASSWORD\"}" $SERVER \
  pulseboard.v1.AuthService/Login | sed -n 's/.*"accessToken": *"\([^"]*\)".*/\1/p')
grpcurl -plaintext -H "authorization: Bearer $TOKEN" $SERVER pulseboard.v1.IngestService/Push \
  -d '{"samples":[{"metric":"demo.temperature","labels":{"room":"kitchen"},"value":21.5}]}'
