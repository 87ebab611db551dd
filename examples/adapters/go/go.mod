module sessiongate

go 1.22
