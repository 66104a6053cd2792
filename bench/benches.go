package main

// benches are measured in this order.
var benches = []bench{
	{"engine", engineBench},
	{"onboard", onboardBench},
}
