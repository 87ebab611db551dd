module sessiongate/adapters

go 1.22

require sessiongate v0.0.0

replace sessiongate => ../../../../examples/adapters/go
