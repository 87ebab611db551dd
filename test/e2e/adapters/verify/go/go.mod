module sessiongate/verifyvectors

go 1.22

require sessiongate/verify v0.0.0

require github.com/golang-jwt/jwt/v5 v5.3.1 // indirect

replace sessiongate/verify => ../../../../../examples/verify/go
