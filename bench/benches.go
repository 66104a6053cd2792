package main

// benches are measured in this order.
var benches = []bench{
	{"engine", engineBench},
	{"waiting", waitingBench},
	{"intake", intakeBench},
	{"onboard", onboardBench},
	{"mariadb-onboard", mariadbOnboardBench},
	{"crowd", crowdBench},
	{"erase", eraseBench},
	{"mariadb-erase", mariadbEraseBench},
	{"anonymise", anonymiseBench},
	{"objects", objectsBench},
	{"chain", chainBench},
	{"map", mapBench},
	{"reconcile", reconcileBench},
	{"drift", driftBench},
	{"size", sizeBench},
	{"scale", scaleBench},
}
