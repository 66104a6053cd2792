package main

// benches are measured in this order.
var benches = []bench{
	{"engine", engineBench},
	{"waiting", waitingBench},
	{"onboard", onboardBench},
	{"crowd", crowdBench},
	{"erase", eraseBench},
	{"chain", chainBench},
	{"map", mapBench},
	{"reconcile", reconcileBench},
	{"drift", driftBench},
	{"size", sizeBench},
	{"scale", scaleBench},
}
