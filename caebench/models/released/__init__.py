"""Released encoders: read by what a file holds, into `models.vit.Encoder`, and written again in others' layouts."""
