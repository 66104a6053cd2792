# What a tenant gets. terraform_data is built into OpenTofu and Terraform, so this needs no
# provider; a real module makes networks, clusters or accounts in its place.

variable "owner" {
  type = string
}

variable "rooms" {
  type    = number
  default = 1
}

resource "terraform_data" "room" {
  count = var.rooms
  input = "${var.owner} ${count.index}"
}

output "rooms" {
  value = terraform_data.room[*].id
}
